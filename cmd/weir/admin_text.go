package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// What `weir admin` prints for people, out of the server's answers.

type adminStatus struct {
	Now         string
	Since       string
	Ready       bool
	Stage       string
	Notice      string
	InFlight    int64 `json:"in_flight"`
	Connections map[string]int64
	Journal     struct {
		QueueMillis  float64 `json:"queue_millis"`
		CommitMillis float64 `json:"commit_millis"`
	}
	Campaigns []adminCampaign
	Alarms    []struct{ Code, Campaign, Since, Message string }
}

type adminCampaign struct {
	ID       string
	State    string
	Reason   string
	PausedAt string `json:"paused_at"`
	Version  int64
	Line     struct {
		Enabled   bool
		Issued    int64
		Serving   int64
		Early     int64
		Waiting   int64
		Called    int64
		Present   int64
		InSession int64   `json:"in_session"`
		Admitted  float64 `json:"admitted_per_minute"`
	}
	Totals struct {
		Places    int64
		Taken     int64
		Booked    int64
		Cancelled int64
		Holds     int64
	}
}

// table lines the columns up that write parts by tabs.
func table(write func(w *strings.Builder)) string {
	var rows, lined strings.Builder
	write(&rows)
	w := tabwriter.NewWriter(&lined, 0, 0, 2, ' ', 0)
	_, err := io.WriteString(w, rows.String())
	if err := errors.Join(err, w.Flush()); err != nil {
		panic(err) // a builder takes everything
	}
	return lined.String()
}

func (s *adminStatus) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, at %s, since %s\n", s.Stage, s.Now, s.Since)
	if s.Notice != "" {
		fmt.Fprintf(&b, "%s\n", s.Notice)
	}
	fmt.Fprintf(&b, "%d connections, %d requests in flight; the log: %.2f ms to queue, %.2f ms to commit (of ten, nine take less)\n",
		s.Connections["public"], s.InFlight, s.Journal.QueueMillis, s.Journal.CommitMillis)
	for i := range s.Campaigns {
		b.WriteString("\n" + s.Campaigns[i].text())
	}
	if len(s.Alarms) > 0 {
		b.WriteString("\nALARMS\n")
	}
	for _, a := range s.Alarms {
		fmt.Fprintf(&b, "  %s %s %s: %s\n", a.Since, a.Code, a.Campaign, a.Message)
	}
	return b.String()
}

func (c *adminCampaign) text() string {
	return table(func(w *strings.Builder) {
		fmt.Fprintf(w, "campaign %s\t%s, version %d\n", c.ID, c.State, c.Version)
		if c.Reason != "" {
			fmt.Fprintf(w, "  paused\tat %s: %s\n", c.PausedAt, c.Reason)
		}
		if c.Line.Enabled {
			fmt.Fprintf(w, "  line\t%d waiting (%d before their draw), %d numbers given, mark at %d, %.0f a minute\n",
				c.Line.Waiting, c.Line.Early, c.Line.Issued, c.Line.Serving, c.Line.Admitted)
			fmt.Fprintf(w, "  called\t%d, of whom %d came in and %d are in session\n", c.Line.Called, c.Line.Present, c.Line.InSession)
		}
		fmt.Fprintf(w, "  places\t%d, %d taken: %d booked, %d held; %d cancelled\n",
			c.Totals.Places, c.Totals.Taken, c.Totals.Booked, c.Totals.Holds, c.Totals.Cancelled)
	})
}

type adminPause struct {
	Campaign, State, Reason string
	PausedAt                string `json:"paused_at"`
	Changed                 bool
}

func (p *adminPause) text() string {
	already := ""
	if !p.Changed {
		already = " already"
	}
	if p.State == "paused" {
		return fmt.Sprintf("%s is paused%s, since %s: %s\n", p.Campaign, already, p.PausedAt, p.Reason)
	}
	return fmt.Sprintf("%s goes on%s; it is %s\n", p.Campaign, already, p.State)
}

type adminLine struct {
	Campaign       string
	AdmitPerMinute any `json:"admit_per_minute"`
	Floor, Ceiling int64
	Admitted       float64 `json:"admitted_per_minute"`
	Target         int64   `json:"target_sessions"`
	Sessions       int64
	ShareCame      float64 `json:"share_came"`
	Limit          string
}

func (l *adminLine) text() string {
	return table(func(w *strings.Builder) {
		fmt.Fprintf(w, "campaign\t%s\n", l.Campaign)
		fmt.Fprintf(w, "admit per minute\t%v; of late %.0f\n", l.AdmitPerMinute, l.Admitted)
		fmt.Fprintf(w, "sessions\t%d in progress, %d aimed at (floor %s, ceiling %s)\n", l.Sessions, l.Target, orPreset(l.Floor, "preset"), orPreset(l.Ceiling, "none"))
		fmt.Fprintf(w, "of the called\t%.0f %% come\n", 100*l.ShareCame)
		fmt.Fprintf(w, "limited by\t%s\n", l.Limit)
	})
}

func orPreset(n int64, preset string) string {
	if n == 0 {
		return preset
	}
	return fmt.Sprint(n)
}

type adminDoor struct {
	Asked, Joined, Again, People int64
	RefusedPeople                int64 `json:"refused_people"`
	Refused                      map[string]int64
}

func (d *adminDoor) reasons() string {
	if len(d.Refused) == 0 {
		return "-"
	}
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(d.Refused)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, d.Refused[reason]))
	}
	return strings.Join(parts, ", ")
}

type adminStats struct {
	adminCampaign
	Since   string
	Door    adminDoor
	Outside adminDoor
	Cohorts []struct {
		ID                              string
		Joined, Left, Booked, Cancelled int64
		InLine                          int64 `json:"in_line"`
		Door                            adminDoor
	}
}

func (s *adminStats) text() string {
	return s.adminCampaign.text() + fmt.Sprintf("\nat the door since %s: %d times by some %d people; places taken %d; refused some %d people: %s\n\n",
		s.Since, s.Door.Asked, s.Door.People, s.Door.Joined, s.Door.RefusedPeople, s.Door.reasons()) +
		table(func(w *strings.Builder) {
			w.WriteString("cohort\tcame\tin line\tleft\tbooked\tcancelled\trefused\n")
			for i := range s.Cohorts {
				c := &s.Cohorts[i]
				fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", c.ID, c.Door.People, c.InLine, c.Left, c.Booked, c.Cancelled, c.Door.reasons())
			}
			fmt.Fprintf(w, "(no cohort)\t%d\t\t\t\t\t%s\n", s.Outside.People, s.Outside.reasons())
		})
}

type adminAudit struct {
	Entries []struct {
		At, Source, Campaign, Action, Detail, By string
		Sequence                                 uint64
	}
}

func (a *adminAudit) text() string {
	return table(func(w *strings.Builder) {
		for _, e := range a.Entries {
			record := "-"
			if e.Sequence > 0 {
				record = fmt.Sprintf("record %d", e.Sequence)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", e.At, orDash(e.Campaign), e.Action, orDash(e.By), record, e.Detail)
		}
	})
}
