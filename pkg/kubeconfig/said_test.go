package kubeconfig

import "testing"

func TestWhatAPluginPrintsIsOneLineThatATerminalDoesNotObey(t *testing.T) {
	if got := said([]byte("\x1b]0;title\x07\x1b[31mred\x1b[0m\r\n\tand\x08 more\n")); got != ": red and more" {
		t.Errorf("what a terminal would obey is left: %q", got)
	}
	if got := said([]byte("password: correcthorse")); got != ": password: [redacted]" {
		t.Errorf("a secret is left: %q", got)
	}
}
