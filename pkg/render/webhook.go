package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/webhookprobe"
)

// Webhook is what `kubectl xcpauth webhook status` reports.
type Webhook struct {
	APIVersion    string              `json:"apiVersion"`
	Kind          string              `json:"kind"`
	At            time.Time           `json:"at"`
	Hub           string              `json:"hub"` // the ManagementPlane
	Context       string              `json:"context"`
	Namespace     string              `json:"namespace,omitempty"` // where it runs
	Answer        webhookprobe.Answer `json:"answer"`              // asked, not asked, failed, unknown
	Decision      string              `json:"decision,omitempty"`  // allowed or denied, where it was asked
	Version       string              `json:"version,omitempty"`   // the webhook's, where it said it
	Edit          string              `json:"edit"`                // what was tried as a dry run
	Says          string              `json:"says,omitempty"`      // the API server's words
	Configuration WebhookConfig       `json:"configuration"`
	Pods          WebhookCount        `json:"pods"`
	Endpoints     WebhookCount        `json:"endpoints"`
	Problems      []string            `json:"problems"`
	Next          string              `json:"next"`
}

// WebhookConfig is the ValidatingWebhookConfiguration.
type WebhookConfig struct {
	Name      string         `json:"name"`
	Installed bool           `json:"installed"`
	Error     string         `json:"error,omitempty"` // why it could not be read
	Entries   []WebhookEntry `json:"entries"`
}

// WebhookEntry is one webhook of it that is shipped.
type WebhookEntry struct {
	Name          string   `json:"name"`
	Installed     bool     `json:"installed"`
	FailurePolicy string   `json:"failurePolicy,omitempty"`
	CAs           int      `json:"cas"`               // certificates in its CA bundle
	Expires       string   `json:"expires,omitempty"` // RFC 3339; when the last of them does
	Problems      []string `json:"problems"`          // how it differs from what is shipped
}

// WebhookCount is how many are ready.
type WebhookCount struct {
	Ready   int    `json:"ready"`
	Wanted  int    `json:"wanted,omitempty"`
	Missing bool   `json:"missing,omitempty"`
	Error   string `json:"error,omitempty"`
}

// NewWebhook makes the report of a look at a hub's webhook. again makes a verb the command line of the same selection.
func NewWebhook(l webhookprobe.Look, hub, context string, again func(verb string) string) Webhook {
	r := Webhook{APIVersion: APIVersion, Kind: "Webhook", At: l.At.UTC().Truncate(time.Second), Hub: hub,
		Context: context, Namespace: l.Namespace,
		Answer: l.Result.Answer, Version: l.Result.Version, Edit: l.Edit, Says: l.Result.Says,
		Configuration: WebhookConfig{Name: webhookprobe.Name, Installed: l.Installed, Error: l.Configuration,
			Entries: []WebhookEntry{}},
		Pods:      WebhookCount{Ready: l.Pods.Ready, Wanted: l.Pods.Wanted, Missing: l.Pods.Missing, Error: l.Pods.Err},
		Endpoints: WebhookCount{Ready: l.Endpoints.Ready, Error: l.Endpoints.Err}, Problems: []string{}}
	if l.Result.Answer == webhookprobe.Asked {
		r.Decision = "denied"
		if l.Result.Allowed {
			r.Decision = "allowed"
		}
	}
	for _, e := range l.Entries {
		entry := WebhookEntry{Name: e.Name, Installed: e.Installed, FailurePolicy: e.Policy, CAs: e.CAs,
			Problems: append([]string{}, e.Problems...)}
		if !e.Expires.IsZero() {
			entry.Expires = Stamp(e.Expires)
		}
		r.Configuration.Entries = append(r.Configuration.Entries, entry)
		if l.NoEntry() {
			continue
		}
		for _, p := range e.Problems {
			r.Problems = append(r.Problems, e.Name+": "+p)
		}
	}
	if !l.Installed && l.Configuration == "" {
		r.Problems = append(r.Problems,
			"ValidatingWebhookConfiguration "+webhookprobe.Name+" is not there: nothing denies dangerous edits")
	}
	if l.NoEntry() {
		r.Problems = append(r.Problems, "ValidatingWebhookConfiguration "+webhookprobe.Name+
			" has no entry: nothing denies dangerous edits before a pod is ready, and has written them")
	}
	switch {
	case l.Pods.Missing:
		r.Problems = append(r.Problems, "its Deployment is not there")
	case l.Pods.Err == "" && l.Pods.Ready < l.Pods.Wanted:
		r.Problems = append(r.Problems, fmt.Sprintf("%d of %d pods are ready", l.Pods.Ready, l.Pods.Wanted))
	}
	if l.Endpoints.Err == "" && l.Endpoints.Ready == 0 {
		r.Problems = append(r.Problems, "no endpoint of its Service is ready")
	}
	r.Next = r.next(again)
	return r
}

// next is what to do about the answer.
func (r Webhook) next(again func(verb string) string) string {
	switch {
	case r.Answer == webhookprobe.Asked && len(r.Problems) > 0:
		return "it is asked; fix what is named above"
	case r.Answer == webhookprobe.Asked:
		return "nothing to do: the API server asks it"
	case r.Answer == webhookprobe.Failed:
		return "guarded edits are refused until it answers; see why its pods do not: " +
			fmt.Sprintf("kubectl get pods -n %s --context %s", r.Namespace, r.Context)
	case r.Answer == webhookprobe.Unasked && !r.Configuration.Installed:
		return "install it: kubectl xcpauth install webhook --apply --wait --context " + r.Context
	case r.Answer == webhookprobe.Unasked && r.Endpoints.Error == "" && r.Endpoints.Ready == 0:
		return "dangerous edits go through until a pod is ready; see why none is: " +
			fmt.Sprintf("kubectl get pods -n %s --context %s", r.Namespace, r.Context)
	case r.Answer == webhookprobe.Unasked && len(r.Problems) > 0:
		return "dangerous edits go through; the webhook puts its entries back within 10 seconds, unless an annotation says " +
			"that somebody else keeps them; look again: " + again("webhook status")
	case r.Answer == webhookprobe.Unasked:
		return "dangerous edits may go through; an API server takes a new configuration over within seconds, so look again: " + again("webhook status")
	}
	return "the probe shows nothing as long as something else refuses it; fix that, then: " + again("webhook status")
}

// Table lays the report out.
func (r Webhook) Table(w io.Writer, wide bool) {
	answer := string(r.Answer)
	switch {
	case r.Answer == webhookprobe.Asked && r.Version != "":
		answer = fmt.Sprintf("asked, and it %s the edit; its version is %s", r.Decision, r.Version)
	case r.Answer == webhookprobe.Asked:
		answer = fmt.Sprintf("asked, and it %s the edit", r.Decision)
	case r.Answer == webhookprobe.Unasked:
		answer = "NOT ASKED: the edit was admitted, and nobody says that the webhook saw it"
	case r.Answer == webhookprobe.Failed:
		answer = "FAILED: the API server could not reach it, and refused the edit for that"
	case r.Answer == webhookprobe.Unknown:
		answer = "unknown: the edit was refused before anything was shown"
	}
	Paragraph(w, "webhook:       ", answer)
	if r.Edit != "" {
		Paragraph(w, "tried:         ", fmt.Sprintf("%s in %s of context %s, with a dry run that stores nothing", r.Edit,
			r.Hub, r.Context))
	}
	if r.Says != "" {
		says := r.Says
		if first, _, more := strings.Cut(says, "\n"); more && !wide {
			says = first + " ..."
		}
		Paragraph(w, "answer:        ", says)
	}
	c := r.Configuration
	switch {
	case c.Error != "":
		Paragraph(w, "configuration: ", "cannot be read: "+c.Error)
	case !c.Installed:
		Paragraph(w, "configuration: ", "not installed")
	}
	for _, e := range c.Entries {
		if !e.Installed {
			continue
		}
		ca := "no CA bundle"
		if e.CAs > 0 {
			ca = fmt.Sprintf("%s until %s", plural(e.CAs, "CA"), e.Expires)
		}
		Paragraph(w, "configuration: ", fmt.Sprintf("%s: failurePolicy %s, %s", e.Name, e.FailurePolicy, ca))
	}
	Paragraph(w, "pods:          ", r.Pods.String())
	Paragraph(w, "endpoints:     ", r.Endpoints.String())
	for _, p := range r.Problems {
		Paragraph(w, "problem:       ", p)
	}
	fmt.Fprintln(w)
	Paragraph(w, "Next: ", r.Next)
}

func (c WebhookCount) String() string {
	switch {
	case c.Error != "":
		return "cannot be read: " + c.Error
	case c.Missing:
		return "not installed"
	case c.Wanted > 0:
		return fmt.Sprintf("%d of %d ready", c.Ready, c.Wanted)
	}
	return fmt.Sprintf("%d ready", c.Ready)
}
