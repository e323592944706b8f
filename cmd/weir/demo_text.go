package main

import (
	"fmt"
	"strings"
	"time"

	"weir/core/campaign"
)

// openedText is printed when the campaign opens.
const openedText = "\n예약이 시작되었습니다. 위의 2~4번 줄을 붙여 넣어 주십시오.\nIt is open: paste lines 2 to 4 above.\n"

const endText = "\nCtrl-C: 종료 / ends it.\n"

// greeting is what the demo says when it is ready.
type greeting struct {
	demo       *demo
	definition *campaign.Definition
	now, opens time.Time // opens is zero where it is over
	public     string    // addresses
	admin      string
	token      string // identity token of the demo's person
}

func (g *greeting) text() string {
	var b strings.Builder
	kept := "kept at the end"
	if g.demo.temporary {
		kept = "removed at the end; --keep keeps it"
	}
	fmt.Fprintf(&b, "data       %s (%s)\n", g.demo.dir, kept)
	fmt.Fprintf(&b, "public     http://%s/  (API: /openapi.yaml)%s\n", g.public, instead(g.demo.listen, g.public, "8080"))
	fmt.Fprintf(&b, "admin      http://%s/  (/livez, /readyz, /metrics)%s\n", g.admin, instead(g.demo.admin, g.admin, "8081"))
	fmt.Fprintf(&b, "campaign   %s: %d places in %d slots at %d sites\n",
		g.definition.ID, g.definition.Places(), g.definition.SlotCount(), len(g.definition.Sites))
	left := g.opens.Sub(g.now).Round(time.Second)
	switch {
	case g.opens.IsZero():
		b.WriteString("opens      no more\n")
		b.WriteString("\n이 시범 예약은 끝났습니다. --data에 다른 디렉터리를 적어 새로 시작해 주십시오.\n")
		b.WriteString("This demonstration is over. Start a new one with another directory for --data.\n")
		b.WriteString(endText)
		return b.String()
	case left > 0:
		at := g.opens.In(g.definition.Location).Format(time.DateTime)
		fmt.Fprintf(&b, "opens      %s %s, in %v\n", at, g.definition.TimeZone, left)
		b.WriteString("\n지금 1번 줄을 다른 터미널에 붙여 넣어 줄을 서십시오. 순서는 시작할 때 추첨합니다.\n")
		b.WriteString("예약이 시작되면 2~4번 줄을 붙여 넣어 주십시오: 입장, 찾기, 예약.\n")
		b.WriteString("Paste line 1 into another terminal now: it joins the line, whose order is drawn at the opening.\n")
		b.WriteString("Once it is open, paste lines 2 to 4: they ask for the turn, look, and book.\n\n")
	default:
		b.WriteString("opens      now\n")
		b.WriteString("\n예약이 시작되었습니다. 아래 네 줄을 다른 터미널에 붙여 넣어 주십시오: 줄 서기, 입장, 찾기, 예약.\n")
		b.WriteString("It is open. Paste these four lines into another terminal: they join, ask for the turn, look, and book.\n\n")
	}
	for i, line := range g.lines() {
		fmt.Fprintf(&b, "# %d\n%s\n\n", i+1, line)
	}
	b.WriteString(g.operator())
	b.WriteString(endText)
	return b.String()
}

// instead says so where the usual port was taken.
func instead(asked, got, usual string) string {
	if asked != "" || strings.HasSuffix(got, ":"+usual) {
		return ""
	}
	return "  (port " + usual + " is taken)"
}

// operator is what whoever runs the campaign would type.
func (g *greeting) operator() string {
	server := " --admin " + g.admin + " --admin-token-file " + g.demo.tokenFile() + "\n"
	return "# 운영자 / the operator\nweir admin status" + server +
		"weir admin pause " + g.definition.ID + " --reason '점검 중입니다'" + server +
		"weir admin resume " + g.definition.ID + server +
		"weir draw verify --from http://" + g.public + " --campaign " + g.definition.ID + " --index 1\n"
}

// lines are four commands for a shell with curl and sed. Each prints what the
// server answered and keeps what the next one needs. The second asks again
// until the turn has come.
func (g *greeting) lines() []string {
	base := "http://" + g.public + "/v1/campaigns/" + g.definition.ID
	who := ` -H 'Authorization: Bearer ` + g.token + `'`
	join := `curl -sS -X POST '` + base + `/line'` + who + `; echo`
	enter := `until PLACE=$(curl -sS '` + base + `/line/me'` + who + `); echo "$PLACE"; ` +
		`PASS=$(echo "$PLACE" | ` + pick(`"pass":`) + `); [ -n "$PASS" ]; do sleep 2; done`
	look := `SITE=$(curl -sS '` + base + `/sites?near=37.5665,126.9780&available=true&limit=1' | ` + pick(`"sites":\[{"id":`) + `); ` +
		`SLOT=$(curl -sS "` + base + `/slots?site=$SITE&available=true" | ` + pick(`"slots":\[{"id":`) + `); echo "$SLOT"`
	book := `curl -sS -X POST '` + base + `/bookings' -H "Authorization: Bearer $PASS" ` +
		`-H 'Content-Type: application/json' -d "{\"slot\":\"$SLOT\"}"; echo`
	return []string{join, enter, look, book}
}

// pick is a command that prints the JSON string behind the first match of a
// basic regular expression.
func pick(before string) string {
	return `sed -n 's/.*` + before + `"\([^"]*\)".*/\1/p'`
}
