package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
)

// scrapeEvery is how often the metrics are read of which the dashboard is drawn.
const scrapeEvery = time.Second

// scrape is what a process exposed at a time, with the labels that a PodMonitor adds.
type scrape struct {
	At     time.Time
	Labels map[string]string
	Text   string
}

// line is a series of a panel, as test/promql/eval prints it.
type line struct {
	Labels map[string]string
	Points []struct {
		At    int64
		Value float64
	}
}

// panel is what the picture shows of a panel of the dashboard.
type panel struct {
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr, LegendFormat string }
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Decimals   *int
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
			Mappings []struct {
				Options map[string]struct{ Text string }
			}
		}
	}
	Transformations []struct {
		Options struct{ IndexByName map[string]int }
	}

	lines [][]line // of each target
}

// monitored are two pods of the webhook and one of the auditor, by name.
type monitored map[string]*webhooknode.Node

// monitor starts, beside the webhook of a sandbox, the second pod that the shipped Deployment has, and the auditor.
func monitor(ctx context.Context, s *sandbox.Sandbox) (m monitored, stop func(), err error) {
	hub := s.Bed.Cluster("hub")
	binary, dir := filepath.Join(s.Dir, "webhook", webhooknode.Name), filepath.Join(s.Dir, "monitored")
	second, err := webhooknode.NewAt(ctx, hub, binary, filepath.Join(dir, "second"), hub.ServiceIP(21))
	if err != nil {
		return nil, nil, err
	}
	auditor, err := webhooknode.NewAuditor(ctx, hub, binary, filepath.Join(dir, "auditor"), hub.ServiceIP(24))
	if err != nil {
		second.Close()
		return nil, nil, err
	}
	stop = func() { second.Close(); auditor.Close() }
	for _, n := range []*webhooknode.Node{second, auditor} {
		if err := n.Start(ctx); err != nil {
			stop()
			return nil, nil, err
		}
	}
	return monitored{"xcpauth-webhook-0": s.Webhook(), "xcpauth-webhook-1": second, "xcpauth-auditor-0": auditor}, stop,
		nil
}

// watch reads the metrics again and again until it is told to end, and returns what was read.
func (m monitored) watch(ctx context.Context) (end func() []scrape) {
	ctx, cancel := context.WithCancel(ctx)
	var all []scrape
	var reading sync.WaitGroup
	reading.Go(func() {
		for tick := time.NewTicker(scrapeEvery); ; {
			at := time.Now()
			for pod, n := range m {
				if text, err := n.Metrics(ctx); err == nil {
					all = append(all, scrape{at, map[string]string{"pod": pod, "instance": pod, "namespace": "xcpauth-system",
						"job": "xcpauth-system/xcpauth-webhook"}, text})
				}
			}
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	})
	return func() []scrape {
		cancel()
		reading.Wait()
		return all
	}
}

// dashboard draws the shipped dashboard with what was read.
func dashboard(ctx context.Context, root string, read []scrape, alt string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "manifests", "monitoring", "dashboard.json"))
	if err != nil {
		return "", fmt.Errorf("reading the dashboard: %w", err)
	}
	var d struct{ Panels []panel }
	if err := json.Unmarshal(text, &d); err != nil {
		return "", fmt.Errorf("reading the dashboard: %w", err)
	}
	if err := evaluate(ctx, root, read, d.Panels); err != nil {
		return "", err
	}
	return drawn(d.Panels, alt), nil
}

// evaluate asks Prometheus's own engine for the lines of each panel.
func evaluate(ctx context.Context, root string, read []scrape, panels []panel) error {
	var exprs []string
	for _, p := range panels {
		for _, t := range p.Targets {
			exprs = append(exprs, t.Expr)
		}
	}
	in, err := json.Marshal(map[string]any{"Scrapes": read, "Step": scrapeEvery.String(), "Expressions": exprs})
	if err != nil {
		return fmt.Errorf("evaluating the dashboard: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "run", "./eval")
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = filepath.Join(root, "test", "promql"), bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("evaluating the dashboard: %w\n%s", err, errs.String())
	}
	var all [][]line
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		return fmt.Errorf("evaluating the dashboard: %w", err)
	}
	for i := range panels {
		panels[i].lines, all = all[:len(panels[i].Targets)], all[len(panels[i].Targets):]
	}
	return nil
}

// named is what the legend calls a line.
func named(format string, labels map[string]string) string {
	for name, value := range labels {
		format = strings.ReplaceAll(format, "{{"+name+"}}", value)
	}
	return format
}
