package kumavectors

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"
)

var inputs = flag.String("inputs", "", "write the vectors without answers into this file, for a program to record them")

// The recorded file has the vectors that the code makes, each once, by the test keys and none other.
func TestTheRecordedVectorsAreThoseThatAreMade(t *testing.T) {
	one, two, err := TestKeys()
	if err != nil {
		t.Fatal(err)
	}
	made := Vectors(one, two)
	materials, err := Materials(one, two)
	if err != nil {
		t.Fatal(err)
	}
	if *inputs != "" {
		var g Golden
		g.Materials = materials
		for _, v := range made {
			g.Rows = append(g.Rows, Row{Vector: v})
		}
		text, err := json.Marshal(g)
		if err == nil {
			err = os.WriteFile(*inputs, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	golden, err := Recorded()
	if err != nil {
		t.Fatal(err)
	}
	if len(made) != 125 || len(golden.Rows) != len(made) {
		t.Fatalf("%d vectors are made and %d recorded, want 125", len(made), len(golden.Rows))
	}
	seen := map[string]bool{}
	for i, row := range golden.Rows {
		if !reflect.DeepEqual(row.Vector, made[i]) {
			t.Errorf("vector %d is recorded as\n%+v\nand made as\n%+v", i, row.Vector, made[i])
		}
		if seen[row.Name] || row.Kuma.Code == "" {
			t.Errorf("%q is there twice, or has no answer: %+v", row.Name, row.Kuma)
		}
		seen[row.Name] = true
	}
	if !maps.EqualFunc(golden.Materials, materials, bytes.Equal) {
		got, want := slices.Sorted(maps.Keys(golden.Materials)), slices.Sorted(maps.Keys(materials))
		t.Errorf("the materials are %v, want %v, each as it is made", got, want)
	}
}
