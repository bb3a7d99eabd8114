package main

import (
	"context"
	"os"
	"strings"
	"sync"
	"unicode"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
)

// longestUser bounds, in runes, what is written down of a user's name: an API server allows any.
const longestUser = 200

// who says who runs this, for the journal, the lock, the roster and Events: the name by which a cluster knows the user,
// on this machine. The name of this machine's own user says nothing to those who read them.
type who struct {
	live *apply.Live

	mu   sync.Mutex
	told map[string]string // by context: the same for a whole run, for the lock is told by it
}

// at is user@host for a context, in these steps:
//
//  1. the name that the cluster says (SelfSubjectReview);
//  2. where it does not say, the kubeconfig's name for its user, marked as such;
//  3. unknown.
func (w *who) at(ctx context.Context, context string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if by := w.told[context]; by != "" {
		return by
	}
	name, err := w.live.Observer.User(ctx, context)
	if err != nil {
		if name = w.live.Fleet.User(context); name != "" {
			name = "kubeconfig:" + name
		}
	}
	by := userAt(name)
	if w.told == nil {
		w.told = map[string]string{}
	}
	if err == nil || ctx.Err() == nil { // an interruption is no answer
		w.told[context] = by
	}
	return by
}

// userAt is user@host, of which a terminal obeys nothing.
func userAt(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, name)
	if runes := []rune(name); len(runes) > longestUser {
		name = string(runes[:longestUser])
	}
	if name == "" {
		name = "unknown"
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}
