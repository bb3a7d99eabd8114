package state

import (
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// byLaterClock is rotation by whichever is behind of this machine's clock and the API server's, which is ahead of it
// by skew.
func byLaterClock(rotation func(time.Time) plan.Rotation, at time.Time, skew *time.Duration) plan.Rotation {
	if skew == nil || *skew >= 0 {
		return rotation(at)
	}
	r := rotation(at.Add(*skew))
	if !r.At.IsZero() {
		r.At = r.At.Add(-*skew) // by this machine's clock again
	}
	return r
}

// rotation says whether a session of the edge has outlived the token with which it began. That is told from the
// clusters alone, so that it survives interruptions: the token was written again after the newest pod's container
// started, and as much time has passed since that start as a token lives (its expiry less the time of its writing, a
// sixtieth added for what two clocks may differ). What remains to be shown then, that the session goes on, is the
// counters' (claimPushes). Whatever may be wrong makes the wait longer: a pod did not start before it was made,
// whatever its node's clock says; for what was written see credential, and for this machine's clock see slower.
func rotation(w plan.Workload, c plan.Credential, account bool) func(at time.Time) plan.Rotation {
	return func(at time.Time) plan.Rotation {
		switch {
		case c.State != plan.CredentialReady:
			return plan.Rotation{Why: "there is no token to be renewed"}
		case c.Expires.IsZero():
			return plan.Rotation{Static: true, Why: "its token has no expiry, so nothing renews it"}
		case !account:
			return plan.Rotation{Static: true, Why: fmt.Sprintf("there is no %s to renew its token from, which expires %s",
				SecretServiceAccount, c.Expires.Format(time.RFC3339))}
		case c.Written.IsZero():
			return plan.Rotation{Why: "when its token was written is not recorded"}
		case len(w.Processes) == 0:
			return plan.Rotation{Why: "it has no pods"}
		}
		var newest time.Time
		for _, p := range w.Processes {
			if p.Since.IsZero() || p.Presents != JWT || p.Ending {
				return plan.Rotation{Why: fmt.Sprintf("pod %s does not run with a token yet", p.Name)}
			}
			for _, began := range []time.Time{p.Since, p.Created} {
				if began.After(newest) {
					newest = began
				}
			}
		}
		life := c.Expires.Sub(c.Written)
		due := newest.Add(Outlives(c))
		switch {
		case at.Before(due):
			return plan.Rotation{At: due, Why: fmt.Sprintf("a token lives %s, and its newest pod runs since %s",
				life.Round(time.Second), newest.Format(time.RFC3339))}
		case !c.Written.After(newest):
			return plan.Rotation{At: c.Expires, Why: "its token was not renewed since its newest pod started"}
		}
		return plan.Rotation{Seen: true, At: due,
			Why: fmt.Sprintf("its newest pod runs since %s, longer than a token lives, and the token was renewed since",
				newest.Format(time.RFC3339))}
	}
}

// Outlives is how long a session must last to have outlived a token like this one.
func Outlives(c plan.Credential) time.Duration {
	life := c.Expires.Sub(c.Written)
	return life + life/60 + time.Second
}
