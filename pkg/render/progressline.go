package render

import (
	"encoding/json"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
)

// ProgressEvent is one event of a run, as a line of JSON.
type ProgressEvent struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	At         time.Time    `json:"at"`
	Phase      engine.Phase `json:"phase"`
	Member     string       `json:"member"`
	Text       string       `json:"text"`
	// Until is when the wave that begins, or what is waited for, is over at the latest.
	Until *time.Time `json:"until,omitempty"`
	// AtMostSeconds is how long the wave that begins takes at most.
	AtMostSeconds int64 `json:"atMostSeconds,omitempty"`
}

// JSONLine is an event as one line of JSON, without its end.
func JSONLine(e engine.Event) []byte {
	p := ProgressEvent{APIVersion: APIVersion, Kind: "ProgressEvent", At: e.At.UTC(), Phase: e.Phase, Member: e.Member,
		Text: clean(e.Text)}
	if !e.Until.IsZero() {
		until := e.Until.UTC()
		p.Until = &until
	}
	if e.Takes.Limited {
		p.AtMostSeconds = int64(e.Takes.AtMost.Seconds())
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // it is of texts and times alone
	}
	return b
}
