package acttest

import (
	"strings"
	"testing"
)

func TestAPullRequestIsToldWhatItWouldDo(t *testing.T) {
	w := newTown(t)
	number, _ := w.request("li-pay", false)
	got := w.play(planning, "pull_request", w.payload("pull_request", number))
	if !got.OK {
		t.Fatal(got.Log)
	}
	said := w.hub.Comments(number)
	if len(said) != 1 || said[0].Author != "github-actions[bot]" || !strings.Contains(said[0].Body, "app/database") || !strings.Contains(said[0].Body, "prod") {
		t.Errorf("%d comments: %+v\n%s", len(said), said, got.Log)
	}
	if again := w.play(planning, "pull_request", "event.json"); !again.OK || len(w.hub.Comments(number)) != 1 {
		t.Errorf("a second run comments again: %d", len(w.hub.Comments(number)))
	}
}
