package postgres

import (
	"testing"

	"github.com/rastup/rekey/internal/goldentest"
)

func TestWhatARotationSays(t *testing.T) {
	s := newScene(t, "says", Target{})
	old := s.must(s.login(t, s.app, "the-first-password-1"))
	s.want(old, "SELECT 1", "1")
	s.Run(forward[:5]...).Held("adopted").Run("decommission", "refused").Again().Run(append(forward[:5:5], "restore", "discard")...)
	_ = old.Close(t.Context()) // until here it was open
	goldentest.Equal(t, "story.txt", s.Story(s.server))
	one := newScene(t, "says_one", Target{Strategy: "single-user"})
	one.Run(through...).Again().Run(append(forward[:5:5], "restore", "discard")...)
	goldentest.Equal(t, "story-single.txt", one.Story(one.server))
}
