// Command figures prints what can be counted about the sources of the checkout that it runs in:
//
//	go run ./test/lint/figures
//
// Calls: a reference from a function to another function or method of its package. It runs upward when that one is
// declared earlier: in a file whose name sorts before, or further up in the same file. It runs downward when that one
// is declared later, so a package without calls upward reads from its first file to its last.
//
// All counts are of files for this platform. Complexity, lines and columns are those of the product: no tests, and
// nothing below test/. Complexity is 1, and 1 more for each if, for, case, && and ||, as cyclop counts it. A column is
// a character, and so is a tab, as lll counts it.
//
// It must not judge: what may not grow is a rule of the linters.
package main

import (
	"context"
	"fmt"
	"os"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	m, err := load(ctx)
	if err != nil {
		return err
	}
	m.printCalls("pkg/tsb")
	m.printCalls("pkg/kongmesh")
	m.printExported()
	for _, name := range []string{"Member", "Hub", "Goal"} {
		m.printFields(name)
	}
	m.printProvider()
	m.printComplexity()
	return m.printLines()
}
