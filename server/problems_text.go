package server

import "time"

// faultRow is what one fault looks like to people and programs. Titles and
// details are in the order of the lang constants.
type faultRow struct {
	status int
	code   string
	title  [languages]string
	detail [languages]string
	retry  time.Duration // least Retry-After; zero: none is sent
	hangUp bool          // what follows on the connection cannot be trusted
}

const (
	titleRequestEN = "The request could not be read"
	titleRequestKO = "요청을 읽을 수 없습니다"
)

// faults is the one table of refusals.
var faults = [faultEnd]faultRow{
	faultRequest: {
		status: 400, code: "bad_request", hangUp: true,
		title:  [languages]string{titleRequestEN, titleRequestKO},
		detail: [languages]string{"It is not a well-formed HTTP request.", "올바른 HTTP 요청이 아닙니다."},
	},
	faultTarget: {
		status: 400, code: "bad_request",
		title:  [languages]string{titleRequestEN, titleRequestKO},
		detail: [languages]string{"The address is not well formed.", "주소 형식이 올바르지 않습니다."},
	},
	faultQuery: {
		status: 400, code: "bad_request",
		title:  [languages]string{titleRequestEN, titleRequestKO},
		detail: [languages]string{"A parameter after the question mark is unknown, repeated or has a value that it cannot have.", "주소의 물음표 뒤에 알 수 없거나 잘못된 값이 있습니다."},
	},
	faultBody: {
		status: 400, code: "bad_request",
		title:  [languages]string{titleRequestEN, titleRequestKO},
		detail: [languages]string{"The body must be one JSON object with exactly the fields that this request takes.", "본문은 정해진 항목만 담은 JSON 객체여야 합니다."},
	},
	faultKey: {
		status: 400, code: "bad_request",
		title:  [languages]string{titleRequestEN, titleRequestKO},
		detail: [languages]string{"Idempotency-Key must appear once, with 1 to 255 visible ASCII characters.", "Idempotency-Key는 한 번만, 보이는 영문·숫자·기호 1~255자로 보내 주세요."},
	},
	faultNoBody: {
		status: 400, code: "bad_request",
		title:  [languages]string{titleRequestEN, titleRequestKO},
		detail: [languages]string{"This request takes no body.", "이 요청에는 본문을 넣을 수 없습니다."},
	},
	faultIdentity: {
		status: 401, code: "unauthenticated",
		title:  [languages]string{"Please sign in", "본인 확인이 필요합니다"},
		detail: [languages]string{"No valid proof of who you are came with the request. Please sign in again.", "본인 확인 정보가 없거나 올바르지 않습니다. 다시 확인해 주세요."},
	},
	faultExpired: {
		status: 401, code: "token_expired",
		title:  [languages]string{"Please sign in again", "다시 본인 확인을 해 주세요"},
		detail: [languages]string{"Your sign-in or your turn has run out. You keep your place in line.", "확인 시간이 지났습니다. 대기 순서는 그대로 유지됩니다."},
	},
	faultNotEligible: {
		status: 403, code: "not_eligible",
		title:  [languages]string{"You cannot book now", "지금은 예약하실 수 없습니다"},
		detail: [languages]string{"You are not among those who may book now. The reason is given with this answer.", "지금 예약하실 수 있는 대상이 아닙니다. 사유를 함께 알려 드립니다."},
	},
	faultNotYourTurn: {
		status: 403, code: "not_your_turn",
		title:  [languages]string{"It is not your turn yet", "아직 순서가 아닙니다"},
		detail: [languages]string{"Please wait in line until your turn comes.", "순서가 올 때까지 기다려 주세요."},
	},
	faultWrongCampaign: {
		status: 403, code: "wrong_campaign",
		title:  [languages]string{"This is another campaign", "다른 예약의 대기표입니다"},
		detail: [languages]string{"Your place in line belongs to another campaign.", "가지고 계신 순서는 다른 예약의 것입니다."},
	},
	faultNotFound: {
		status: 404, code: "not_found",
		title:  [languages]string{"Not found", "찾을 수 없습니다"},
		detail: [languages]string{"There is nothing here for you under this name.", "요청하신 것을 찾을 수 없습니다."},
	},
	faultMethod: {
		status: 405, code: "method_not_allowed",
		title:  [languages]string{"This cannot be done here", "여기서는 할 수 없는 요청입니다"},
		detail: [languages]string{"The address exists, but not for this method. Allow names those that there are.", "이 주소에서는 쓸 수 없는 방식입니다."},
	},
	faultTimeout: {
		status: 408, code: "request_timeout", hangUp: true,
		title:  [languages]string{"The request took too long", "요청이 너무 오래 걸렸습니다"},
		detail: [languages]string{"It did not arrive in time. Please try again.", "요청이 제때 도착하지 않았습니다. 다시 시도해 주세요."},
	},
	faultAlreadyBooked: {
		status: 409, code: "already_booked",
		title:  [languages]string{"You have a booking already", "이미 예약하셨습니다"},
		detail: [languages]string{"Your booking stands. To have another time, change it.", "기존 예약이 유효합니다. 시간을 바꾸시려면 예약을 변경해 주세요."},
	},
	faultSlotFull: {
		status: 409, code: "slot_full",
		title:  [languages]string{"This time is full", "예약이 마감된 시간입니다"},
		detail: [languages]string{"All places are taken. Other times nearby are given with this answer.", "자리가 모두 찼습니다. 가까운 다른 시간을 함께 알려 드립니다."},
	},
	faultSlotClosed: {
		status: 409, code: "slot_closed",
		title:  [languages]string{"This time is closed", "예약할 수 없는 시간입니다"},
		detail: [languages]string{"It has begun or is no longer offered. Please choose another time.", "이미 시작되었거나 운영하지 않습니다. 다른 시간을 골라 주세요."},
	},
	faultWindowNotOpen: {
		status: 409, code: "window_not_open",
		title:  [languages]string{"Booking has not opened yet", "아직 예약 시작 전입니다"},
		detail: [languages]string{"You may book once it opens, at the time given with this answer.", "안내된 시작 시간부터 예약하실 수 있습니다."},
	},
	faultWindowClosed: {
		status: 409, code: "window_closed",
		title:  [languages]string{"Booking has closed", "예약이 끝났습니다"},
		detail: [languages]string{"The time for your bookings has passed.", "예약 기간이 지났습니다."},
	},
	faultPaused: {
		status: 409, code: "campaign_paused",
		title:  [languages]string{"Booking is paused", "예약이 잠시 멈췄습니다"},
		detail: [languages]string{"Nothing is lost: bookings and places in line stay as they are.", "예약과 대기 순서는 그대로 유지됩니다. 잠시 기다려 주세요."},
	},
	faultLineNotOpen: {
		status: 409, code: "line_not_open",
		title:  [languages]string{"The line has not opened yet", "아직 대기가 시작되지 않았습니다"},
		detail: [languages]string{"You may join once it opens, at the time given with this answer.", "안내된 시간부터 대기하실 수 있습니다."},
	},
	faultHoldExpired: {
		status: 409, code: "hold_expired",
		title:  [languages]string{"Your hold has run out", "자리를 맡아 둔 시간이 지났습니다"},
		detail: [languages]string{"The place was given back. Please choose a time again.", "자리가 풀렸습니다. 시간을 다시 골라 주세요."},
	},
	faultTooLate: {
		status: 409, code: "too_late_to_change",
		title:  [languages]string{"It is too late to change this", "변경할 수 있는 시간이 지났습니다"},
		detail: [languages]string{"The visit is too near. Please ask at the site.", "방문 시간이 가까워 바꿀 수 없습니다. 방문하실 곳에 문의해 주세요."},
	},
	faultBodySize: {
		status: 413, code: "body_too_large", hangUp: true,
		title:  [languages]string{"The request is too large", "요청이 너무 큽니다"},
		detail: [languages]string{"The body is larger than any that this service takes.", "본문이 허용된 크기를 넘었습니다."},
	},
	faultTargetSize: {
		status: 414, code: "target_too_long", hangUp: true,
		title:  [languages]string{"The address is too long", "주소가 너무 깁니다"},
		detail: [languages]string{"The address is longer than any that this service takes.", "주소가 허용된 길이를 넘었습니다."},
	},
	faultMediaType: {
		status: 415, code: "unsupported_media_type",
		title:  [languages]string{"The body is not JSON", "JSON 본문이 아닙니다"},
		detail: [languages]string{"Please send the body as application/json.", "본문을 application/json으로 보내 주세요."},
	},
	faultExpectation: {
		status: 417, code: "expectation_failed", hangUp: true,
		title:  [languages]string{"The expectation cannot be met", "요청하신 조건을 지원하지 않습니다"},
		detail: [languages]string{"Only Expect: 100-continue is understood.", "Expect는 100-continue만 쓸 수 있습니다."},
	},
	faultKeyReused: {
		status: 422, code: "idempotency_key_reused",
		title:  [languages]string{"This key was used before", "이미 사용한 요청 번호입니다"},
		detail: [languages]string{"The same Idempotency-Key came before with another body.", "같은 Idempotency-Key가 다른 내용으로 이미 쓰였습니다."},
	},
	faultHeaderSize: {
		status: 431, code: "headers_too_large", hangUp: true,
		title:  [languages]string{"The headers are too large", "요청 머리글이 너무 큽니다"},
		detail: [languages]string{"The headers are larger than any that this service takes.", "머리글이 허용된 크기를 넘었습니다."},
	},
	faultTooMany: {
		status: 429, code: "too_many_requests", retry: 2 * time.Second,
		title:  [languages]string{"Too many requests", "요청이 너무 많습니다"},
		detail: [languages]string{"Please wait a moment and try again.", "잠시 후 다시 시도해 주세요."},
	},
	faultInternal: {
		status: 500, code: "internal", hangUp: true,
		title:  [languages]string{"Something went wrong here", "문제가 생겼습니다"},
		detail: [languages]string{"The fault is ours and has been noted. Please try again.", "저희 쪽 문제입니다. 다시 시도해 주세요."},
	},
	faultOverloaded: {
		status: 503, code: "overloaded", retry: 2 * time.Second,
		title:  [languages]string{"Very many people are here now", "지금 이용하시는 분이 많습니다"},
		detail: [languages]string{"Nothing was changed. Please try again in a moment.", "변경된 것은 없습니다. 잠시 후 다시 시도해 주세요."},
	},
	faultOutcomeUnknown: {
		status: 503, code: "outcome_unknown", retry: time.Second,
		title:  [languages]string{"We could not confirm this yet", "아직 처리 결과를 확인하지 못했습니다"},
		detail: [languages]string{"Please send the same request again: it will not be done twice.", "같은 요청을 다시 보내 주세요. 두 번 처리되지 않습니다."},
	},
	faultReadOnly: {
		status: 503, code: "read_only", retry: 30 * time.Second,
		title:  [languages]string{"Changes are stopped for now", "지금은 변경하실 수 없습니다"},
		detail: [languages]string{"Bookings can be read but not changed. Please try again later.", "예약 확인만 가능합니다. 잠시 후 다시 시도해 주세요."},
	},
	faultStarting: {
		status: 503, code: "starting", retry: 2 * time.Second,
		title:  [languages]string{"The service is starting", "서비스를 시작하고 있습니다"},
		detail: [languages]string{"It will be here shortly. Bookings and places in line are kept.", "곧 이용하실 수 있습니다. 예약과 대기 순서는 그대로입니다."},
	},
	faultStopping: {
		status: 503, code: "stopping", retry: 2 * time.Second, hangUp: true,
		title:  [languages]string{"The service is restarting", "서비스를 다시 시작하고 있습니다"},
		detail: [languages]string{"Nothing was changed. Please try again in a moment.", "변경된 것은 없습니다. 잠시 후 다시 시도해 주세요."},
	},
}
