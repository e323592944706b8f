package token

// Tokens of testClaims under testKey(1), made by the first build of version 1.
const (
	goldenTicket = "wt1.AQAAAAH3iKowsTo0LUpIK6KCEejQD9WcdQUNPK-nSzj3KwzWwk_mnO-yB63D7PUAGFfq1bcqOhTIROSnNBlkFiyffxh0jftQ5tQ"
	goldenPass   = "wp1.AQAAAAEg8xn9bHa0RQFFYQkJH_dsrP5Ngkp39dEwVnhqIyOGjm89RTCWKW4CCrDb3FAIH1gqiHFmU1dP4-b-y8bc86YfhXr3zeM"
)
