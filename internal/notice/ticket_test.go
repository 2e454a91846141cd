package notice_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/notice"
	"github.com/rastup/rekey/internal/notice/ticket"
	text "github.com/rastup/rekey/internal/report/comment"
)

func (r *rig) tickets(gate func(), all ...ticket.Ticket) pass {
	program := r.program(gate)
	p := &ticket.Projector{Tracker: &ticket.GitHub{Bot: bot, In: func(name string) ticket.Repository {
		if name == repository {
			return program
		}
		return program.In(name)
	}}}
	return func(ctx context.Context) (notice.Tally, error) {
		t, _, err := p.Write(ctx, all)
		return t, err
	}
}

// shared is a ticket of as many rotations as there are in over.
func shared(number int, over ...bool) ticket.Ticket {
	return ticketOf(fmt.Sprintf("%s#%d", repository, number), over...)
}

func ticketOf(name string, over ...bool) ticket.Ticket {
	k := ticket.Ticket{Name: name}
	for i, is := range over {
		r := summaries()[i]
		r.Over = is
		k.Rotations = append(k.Rotations, r)
	}
	return k
}

var summaries = sync.OnceValue(func() (all []ticket.Rotation) {
	views, _ := played(2, 46*time.Hour)
	for _, v := range views {
		key := text.TicketKey(v)
		all = append(all, ticket.Rotation{Closed: ticket.Summary{Key: key, Text: text.Ticket(v, false, options)},
			Left: ticket.Summary{Key: key, Left: true, Text: text.Ticket(v, true, options)}})
	}
	return all
})

func (r *rig) ticketIs(t *testing.T, number int, state string, summaries int) {
	t.Helper()
	for _, x := range r.Issues() {
		if x.Number == number && (x.State != state || state == "closed" && x.Reason != "completed") {
			t.Errorf("#%d is %s (%s), want %s", number, x.State, x.Reason, state)
		}
	}
	keys := map[string]bool{}
	for _, body := range r.bodies(number) {
		if key, _, ok := text.ParseTicket(body); ok && keys[key] {
			t.Errorf("#%d: %s is said twice", number, key)
		} else if ok {
			keys[key] = true
		}
	}
	if len(keys) != summaries {
		t.Errorf("#%d has %d summaries, want %d", number, len(keys), summaries)
	}
}

func TestTicketsComeRightThroughEveryMisfortune(t *testing.T) {
	torture(t, 24, func(t *testing.T, r *rig) (func(func()) pass, func(notice.Tally)) {
		var n []int
		for range 3 {
			n = append(n, r.OpenIssue("ana-sec", "Rotate", "please"))
		}
		r.Close(n[2], "ana-sec")
		return func(gate func()) pass {
				return r.tickets(gate, shared(n[0], true, true), shared(n[1], true, false), shared(n[2], true))
			}, func(notice.Tally) {
				r.ticketIs(t, n[0], "closed", 2)
				r.ticketIs(t, n[1], "open", 1)
				r.ticketIs(t, n[2], "closed", 1)
			}
	})
}

func TestATicketIsClosedOnce(t *testing.T) {
	r := newRig(t, 1)
	n := r.OpenIssue("ana-sec", "Rotate", "please")
	r.settle(func() pass { return r.tickets(nil, shared(n, false, false)) })
	r.ticketIs(t, n, "open", 0)
	r.settle(func() pass { return r.tickets(nil, shared(n, true, false)) })
	r.ticketIs(t, n, "open", 1)
	r.settle(func() pass { return r.tickets(nil, shared(n, true, true)) })
	r.ticketIs(t, n, "closed", 2)
	r.Reopen(n, "ana-sec")
	r.settle(func() pass { return r.tickets(nil, shared(n, true, true)) })
	r.ticketIs(t, n, "open", 2)
}

func TestATicketThatIsNoneIsAFinding(t *testing.T) {
	r := newRig(t, 1)
	pull := r.request()
	elsewhere := ticketOf("rastup/unknown#7", true)
	tally, err := r.tickets(nil, shared(404, true), shared(pull, true), elsewhere)(context.Background())
	if err != nil || len(tally.Findings) != 3 || len(r.changes(0)) != 0 {
		t.Fatalf("%v, %+v, %q", err, tally, r.changes(0))
	}
	for i, want := range []string{"no ticket rastup/shop#404", "is a pull request", "no ticket rastup/unknown#7"} {
		if !strings.Contains(tally.Findings[i].Text, want) {
			t.Errorf("%q, want %q", tally.Findings[i].Text, want)
		}
	}
}

func TestATicketInAnotherRepository(t *testing.T) {
	r := newRig(t, 1)
	other := r.In("rastup/security")
	other.AddToken("token", bot, map[string]string{"issues": "write"})
	n := other.OpenIssue("ana-sec", "Rotate", "please")
	k := ticketOf(fmt.Sprintf("rastup/security#%d", n), true)
	r.settle(func() pass { return r.tickets(nil, k) })
	(&rig{Service: other}).ticketIs(t, n, "closed", 1)
}

func TestASummaryByAnotherDoesntCount(t *testing.T) {
	r := newRig(t, 1)
	n := r.OpenIssue("ana-sec", "Rotate", "please")
	k := shared(n, true)
	r.Say(n, "eve", k.Rotations[0].Closed.Text)
	r.settle(func() pass { return r.tickets(nil, k) })
	if all := r.Comments(n); len(all) != 2 || all[1].Author != bot || r.Issues()[0].State != "closed" {
		t.Errorf("comments: %d", len(all))
	}
}

func TestWhichTicketsAreIssues(t *testing.T) {
	for _, c := range []struct{ ticket, home, want string }{
		{"#12", "rastup/security", "rastup/security#12"},
		{"rastup/shop#3", "rastup/security", "rastup/shop#3"},
		{"rastup/shop#3", "", "rastup/shop#3"},
		{"#12", "", ""},
		{"#0", "a/b", ""},
		{"#012", "a/b", ""},
		{"#9999999999", "a/b", ""},
		{"SEC-12", "a/b", ""},
		{"a/b/c#1", "a/b", ""},
		{"a/b#1 ", "a/b", ""},
		{"../x#1", "a/b", "../x#1"}, // the client refuses it
	} {
		got, ok := (&ticket.GitHub{Home: c.home}).Name(c.ticket)
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%q in %q: got %v, %v", c.ticket, c.home, got, ok)
		}
	}
}
