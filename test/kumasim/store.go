package kumasim

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"time"
)

// Store is what a global keeps that keeps nothing in its cluster: its secrets, and what it tells of its zones. All
// processes of the global have it in common, and it outlives them. The zero value is empty.
type Store struct {
	Memory

	mu     sync.Mutex
	times  map[string]times
	zones  map[string]Told
	away   bool
	missed int
}

// Away has the store not be there for who asks the API, as a PostgreSQL that is stopped, or be there again: settings
// are answered, and secrets, zones and tokens with 500. What a global does without the API goes on.
func (s *Store) Away(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = is
}

// Missed is how many questions the API could not answer so far, since the store was away.
func (s *Store) Missed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missed
}

// there says whether the store can be asked, and counts where not.
func (s *Store) there() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		s.missed++
	}
	return !s.away
}

type times struct{ created, modified time.Time }

// Told is a zone with what the global tells of its streams, oldest first.
type Told struct {
	Name              string
	Created, Modified time.Time
	Subscriptions     []any
}

// Put creates or replaces a secret, as the API does: the last write wins. It says whether it is a new one.
func (s *Store) Put(o Secret) (created bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.Memory.Put(o); err != nil {
		return false, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond) // as PostgreSQL keeps it
	at, there := s.times[o.Name]
	if !there {
		at.created = now
	}
	at.modified = now
	if s.times == nil {
		s.times = map[string]times{}
	}
	s.times[o.Name] = at
	return !there, nil
}

// Delete deletes a secret, and says whether it was there.
func (s *Store) Delete(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.times[name]
	delete(s.times, name)
	s.Memory.Delete(name)
	return there
}

// MakeFirst makes a secret unless one of its prefix is there, as a global does at its start.
func (s *Store) MakeFirst(prefix string, make func() (Secret, error)) error {
	s.mu.Lock()
	for name := range s.times {
		if bytes.HasPrefix([]byte(name), []byte(prefix)) {
			s.mu.Unlock()
			return nil
		}
	}
	s.mu.Unlock()
	o, err := make()
	if err != nil {
		return err
	}
	_, err = s.Put(o)
	return err
}

// Tell changes what is told of a zone, which is made when it is not there.
func (s *Store) Tell(zone string, change func(subscriptions []any) []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.zones == nil {
		s.zones = map[string]Told{}
	}
	z, there := s.zones[zone]
	if z.Modified = time.Now().UTC(); !there {
		z.Name, z.Created = zone, z.Modified
	}
	var copied []any // what is told may be being read
	for _, s := range z.Subscriptions {
		if m, is := s.(map[string]any); is {
			s = maps.Clone(m)
		}
		copied = append(copied, s)
	}
	z.Subscriptions = change(copied)
	s.zones[zone] = z
}

// Forget deletes a zone.
func (s *Store) Forget(zone string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.zones, zone)
}

// Zones are all of them, by name.
func (s *Store) Zones() []Told {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Told
	for _, name := range slices.Sorted(maps.Keys(s.zones)) {
		all = append(all, s.zones[name])
	}
	return all
}

// of is when a secret was made and changed.
func (s *Store) of(name string) times {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.times[name]
}
