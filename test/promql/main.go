// Command promql reads PromQL expressions, one JSON string each, and prints one JSON string for each: what
// Prometheus's own parser says against it, empty where nothing. It has a module of its own, because Prometheus leads
// to every cloud's client.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	p := parser.NewParser(parser.Options{})
	for exprs, said := json.NewDecoder(in), json.NewEncoder(out); ; {
		var expr, against string
		if err := exprs.Decode(&expr); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading an expression: %w", err)
		}
		if _, err := p.ParseExpr(expr); err != nil {
			against = err.Error()
		}
		if err := said.Encode(against); err != nil {
			return fmt.Errorf("writing an answer: %w", err)
		}
	}
}
