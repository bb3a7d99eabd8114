package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
)

// imageColumns is the width of the terminal that the pictures show.
const imageColumns = 100

// shot is a command whose output is a picture of docs/img; name is "" for one that only changes the fleet.
type shot struct {
	name, alt string
	args      []string
	code      int
}

// shots are taken one after the other of a hub and two edges, on mutual TLS in the beginning.
var shots = []shot{
	{"status-before", "status before a migration: both edges are connected and present a certificate",
		[]string{"xcpauth", "status"}, 0},
	{"denied", "The webhook denies an edit that turns mutual TLS off, and names both edges",
		[]string{"patch", "managementplane", "managementplane", "-n", "tsb", "--type=merge", "-p", tooEarly}, 1},
	{"", "", []string{"xcpauth", "migrate", "-y", "--poll=500ms", "--fence-for=2s", "--progress=plain"}, 0},
	{"status-after", "status after it: both edges present a JWT, and mutual TLS is off", []string{"xcpauth", "status"}, 0},
	{"history", "status --history: what was done, by whom and when", []string{"xcpauth", "status", "--history"}, 0},
}

// monitorAlt is what the picture of the dashboard shows.
const monitorAlt = "The Grafana dashboard: seven figures in green, then charts of decisions and live reads, " +
	"and a table of members"

// takeImages runs the shots and writes the pictures: what was printed, and the dashboard of all that.
func (p *played) takeImages(ctx context.Context) error {
	root, err := sandbox.Root()
	if err != nil {
		return err
	}
	m, stop, err := p.monitor(ctx)
	if err != nil {
		return err
	}
	defer stop()
	end := m.watch(ctx)
	if err := p.takeShots(ctx, root); err != nil {
		return err
	}
	if err := p.useWebhook(ctx); err != nil {
		return err
	}
	text, err := dashboard(ctx, root, end(), monitorAlt)
	if err != nil {
		return err
	}
	return written(root, "dashboard", text)
}

// useWebhook gives the webhook something to decide: edges that it reads itself, and edits, of which nothing is stored.
func (p *played) useWebhook(ctx context.Context) error {
	const away = `{"spec":{"components":{"xcp":{"centralAuthModes":{"jwt":false,"mutualTls":true}}}}}`
	edit := []string{"patch", "managementplane", "managementplane", "-n", "tsb", "--type=merge", "--dry-run=server", "-p",
		away}
	if out, err := p.command(ctx, "xcpauth", "edge", "register", "edge-1", "edge-2").CombinedOutput(); err != nil {
		return fmt.Errorf("registering the edges: %w\n%s", err, out)
	}
	for range 10 {
		_ = p.command(ctx, edit...).Run() // it is denied, as is meant
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * scrapeEvery):
		}
	}
	return nil
}

func (p *played) takeShots(ctx context.Context, root string) error {
	for _, s := range shots {
		printed, code, err := p.onTerminal(ctx, s.args)
		if err != nil || code != s.code {
			return fmt.Errorf("kubectl %s ended with %d, %w, want %d:\n%s", quoted(s.args), code, err, s.code, printed)
		}
		if s.name == "" {
			continue
		}
		if err := written(root, s.name, picture("kubectl "+quoted(s.args), printed, s.alt)); err != nil {
			return err
		}
	}
	return nil
}

func written(root, name, text string) error {
	path := filepath.Join(root, "docs", "img", name+".svg")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing a picture: %w", err)
	}
	fmt.Println("wrote", path)
	return nil
}

// onTerminal runs kubectl on a terminal of its own, and returns what it printed there and its exit code.
func (p *played) onTerminal(ctx context.Context, args []string) (string, int, error) {
	cmd := p.command(ctx, args...)
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: imageColumns, Rows: 50})
	if err != nil {
		return "", 0, err
	}
	defer terminal.Close()
	var out strings.Builder
	if _, err := io.Copy(&out, terminal); err != nil && !errors.Is(err, syscall.EIO) { // the other side is closed
		return out.String(), 0, err
	}
	_ = cmd.Wait() // its code says how it ended
	return out.String(), cmd.ProcessState.ExitCode(), nil
}
