package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// CredentialsOf are what people call credentials, joined: "mTLS+JWT".
func (w Words) CredentialsOf(all []guard.Cred) string { return strings.Join(w.Names(all), "+") }

// Names are what people call credentials, each once by one name: an alias is left out.
func (w Words) Names(all []guard.Cred) []string {
	var names []string
	for _, c := range all {
		if w.Alias == "" || !strings.HasPrefix(string(c), w.Alias) {
			names = append(names, w.Credential(c))
		}
	}
	return names
}

// Words are what people of a product call things, in lower case unless it is a name.
type Words struct {
	Hub     string // "management plane"
	Member  string // "edge"
	Server  string // the program of the hub that members connect to: "Central"
	Removal string // how a member that is gone for good is taken out: "delete it from TSB and forget it"
	// Accepts are the credentials that a hub is said to accept or not, in the order in which they are named.
	Accepts []guard.Cred
	// Nothing is the credential of a member that presents none, Required what a hub is said to take that refuses those.
	Nothing  guard.Cred
	Required string
	Rotates  guard.Cred // the credential that the product renews by itself, "" where it renews none
	// Credentials are the names of credentials, see Credential.
	Credentials map[guard.Cred]string
	// Alias is how a credential begins that is another name of one next to it, and not said.
	Alias string
}

// Credential is what people call a credential. One without a name of its own is called by its value, "kid 2" for
// "kid:2"; one that is not known is "unknown".
func (w Words) Credential(c guard.Cred) string {
	if name, ok := w.Credentials[c]; ok {
		return name
	}
	if c == "" {
		return "unknown"
	}
	return strings.Replace(string(c), ":", " ", 1)
}

// Short is a length of time in its largest unit: "90s", "45m", "12h", "30d".
func Short(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
