package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// lastLook is what completion knows of a fleet: names, and nothing else. It is kept in the user's cache directory; what
// cannot be kept or read is not there, and no command says so.
type lastLook struct {
	At      time.Time         `json:"at"`
	Members map[string]string `json:"members"` // the edges and zones, each with its context, "" without one
}

// lastLookLimit is more than the names of any fleet take.
const lastLookLimit = 4 << 20

// remember keeps the names that a look found, for the selection of this run and for the hub that it found.
func (o *fleetOptions) remember(f plan.State) {
	l := lastLook{At: f.At, Members: map[string]string{}}
	keep := func(name, context string) {
		if completable(name) && l.Members[name] == "" {
			l.Members[name] = ""
			if completable(context) {
				l.Members[name] = context
			}
		}
	}
	for _, m := range f.Members {
		if m.Role == plan.RoleEdge {
			keep(m.Name, m.Context)
		}
	}
	for _, name := range f.Hub.Inventory {
		keep(name, "")
	}
	if len(l.Members) == 0 {
		return // a look that found nothing is no reason to forget
	}
	for _, key := range o.cacheKeys(f.Hub.Context) {
		_ = l.write(key)
	}
}

// completable says whether a shell can be given a name as one word.
func completable(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
}

// cacheKeys name a fleet by its kubeconfig, its hub as it was given, and where its global is; and, where the hub was
// found, by that too.
func (o *fleetOptions) cacheKeys(found string) []string {
	file := cmp.Or(o.kubeconfig, os.Getenv(clientcmd.RecommendedConfigPathEnvVar), clientcmd.RecommendedHomeFile)
	if full, err := filepath.Abs(file); err == nil && !strings.ContainsRune(file, filepath.ListSeparator) {
		file = full
	}
	var keys []string
	for _, hub := range []string{o.hub, found} {
		words := append([]string{file, hub, o.stateContext, o.kumactl, o.kumactlContext}, o.addresses...)
		sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
		keys = append(keys, hex.EncodeToString(sum[:16]))
	}
	if found == "" || found == o.hub {
		return keys[:1]
	}
	return keys
}

// cacheFile is where a look is kept.
func cacheFile(key string) (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "kubectl-xcpauth", "seen", key+".json"), err
}

// write replaces what is kept, for its owner alone.
func (l lastLook) write(key string) error {
	path, err := cacheFile(key)
	if err != nil {
		return err
	}
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".look-*") // made for its owner alone
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// recall is the last look, empty where there is none.
func recall(key string) lastLook {
	var l lastLook
	path, err := cacheFile(key)
	if err != nil {
		return l
	}
	f, err := os.Open(path)
	if err != nil {
		return l
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, lastLookLimit))
	if err != nil || json.Unmarshal(b, &l) != nil {
		return lastLook{}
	}
	for name, context := range l.Members { // a file is no reason to trust its names
		if !completable(name) || context != "" && !completable(context) {
			delete(l.Members, name)
		}
	}
	return l
}
