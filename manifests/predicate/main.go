// Command predicate writes the predicate of pkg/overlay as CEL into the manifests that are shipped: the fence of an
// edge and the webhook's matchConditions. It runs at the root of the checkout (make generate).
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	for name, expressions := range shipped() {
		path := filepath.Join("manifests", name)
		text, err := os.ReadFile(path)
		if err == nil {
			if text, err = rewrite(text, expressions); err == nil {
				err = os.WriteFile(path, text, 0o644)
			}
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "writing the expressions of %s: %v\n", path, err)
			os.Exit(1)
		}
	}
}
