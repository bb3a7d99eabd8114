// Command eval reads what programs exposed at some times, and PromQL expressions, and prints the series of each over
// those times, by Prometheus's own engine: what a dashboard would draw.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// asked is what is read: scrapes in the order of their times, with the labels that a scrape adds, and the expressions.
type asked struct {
	Scrapes []struct {
		At     time.Time
		Labels map[string]string
		Text   string
	}
	Step        string
	Expressions []string
}

// series is one line of a panel.
type series struct {
	Labels map[string]string `json:"labels"`
	Points []point           `json:"points"`
}

type point struct {
	At    int64   `json:"at"` // in milliseconds
	Value float64 `json:"value"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var a asked
	if err := json.NewDecoder(in).Decode(&a); err != nil {
		return fmt.Errorf("reading what is asked: %w", err)
	}
	step, err := time.ParseDuration(a.Step)
	if err != nil || len(a.Scrapes) == 0 {
		return fmt.Errorf("reading what is asked: step %q, %d scrapes: %w", a.Step, len(a.Scrapes), err)
	}
	m := &memory{known: map[string]*promql.Series{}}
	for _, s := range a.Scrapes {
		if err := m.take(s.Text, s.Labels, s.At.UnixMilli()); err != nil {
			return fmt.Errorf("reading what was exposed at %s: %w", s.At, err)
		}
	}
	engine := promql.NewEngine(promql.EngineOpts{Timeout: time.Minute, MaxSamples: 10_000_000,
		LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{})})
	first, last := a.Scrapes[0].At, a.Scrapes[len(a.Scrapes)-1].At
	var all [][]series
	for _, expr := range a.Expressions {
		q, err := engine.NewRangeQuery(context.Background(), m, nil, expr, first, last, step)
		if err != nil {
			return fmt.Errorf("evaluating %s: %w", expr, err)
		}
		matrix, err := q.Exec(context.Background()).Matrix()
		if err != nil {
			return fmt.Errorf("evaluating %s: %w", expr, err)
		}
		lines := []series{}
		for _, s := range matrix {
			line := series{Labels: s.Metric.Map()}
			for _, p := range s.Floats {
				if !math.IsNaN(p.F) { // a gap, which JSON has no number for
					line.Points = append(line.Points, point{p.T, p.F})
				}
			}
			lines = append(lines, line)
		}
		all = append(all, lines)
		q.Close()
	}
	return json.NewEncoder(out).Encode(all)
}

// memory holds series; it is what the engine queries.
type memory struct {
	known map[string]*promql.Series // by their labels
}

// take adds what was exposed at a time, with further labels.
func (m *memory) take(text string, extra map[string]string, at int64) error {
	p, err := textparse.New([]byte(text), "text/plain", labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		_, _, value := p.Series()
		var exposed labels.Labels
		p.Labels(&exposed)
		b := labels.NewBuilder(exposed)
		for name, v := range extra {
			b.Set(name, v)
		}
		all := b.Labels()
		s := m.known[all.String()]
		if s == nil {
			s = &promql.Series{Metric: all}
			m.known[all.String()] = s
		}
		s.Floats = append(s.Floats, promql.FPoint{T: at, F: value})
	}
}

func (m *memory) Querier(int64, int64) (storage.Querier, error) { return m, nil }

func (m *memory) Select(_ context.Context, _ bool, _ *storage.SelectHints,
	matchers ...*labels.Matcher) storage.SeriesSet {
	found := &set{next: -1}
	for _, s := range m.known {
		if !slices.ContainsFunc(matchers, func(is *labels.Matcher) bool { return !is.Matches(s.Metric.Get(is.Name)) }) {
			found.all = append(found.all, *s)
		}
	}
	slices.SortFunc(found.all, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
	return found
}

func (*memory) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string,
	annotations.Annotations, error) {
	return nil, nil, nil
}

func (*memory) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string,
	annotations.Annotations, error) {
	return nil, nil, nil
}

func (*memory) Close() error { return nil }

// set goes through series.
type set struct {
	all  []promql.Series
	next int
}

func (s *set) Next() bool {
	s.next++
	return s.next < len(s.all)
}

func (s *set) At() storage.Series { return promql.NewStorageSeries(s.all[s.next]) }

func (*set) Err() error { return nil }

func (*set) Warnings() annotations.Annotations { return nil }
