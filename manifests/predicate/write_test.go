package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheShippedExpressionsAreThose(t *testing.T) {
	for name, expressions := range shipped() {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := rewrite(text, expressions); err != nil || string(want) != string(text) {
			t.Errorf("%s is not as it is written here (%v); run make generate", name, err)
		}
	}
}
