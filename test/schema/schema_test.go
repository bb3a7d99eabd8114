package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/xcpauth/kubectl-xcpauth/test/golden"
)

var record = flag.Bool("record", false, "write what this release prints into testdata, where nothing is recorded yet")

// The schemas in docs are those of the types. With -update they are written.
func TestTheSchemasInDocsAreThoseOfTheTypes(t *testing.T) {
	t.Chdir("../..")
	var names []string
	for kind, report := range Kinds() {
		s, err := Of(kind, report)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		name := kind + ".json"
		file := filepath.Join("docs", "schema", name)
		names = append(names, name)
		golden.Check(t, file, string(b)+"\n")
	}
	entries, err := os.ReadDir(filepath.Join("docs", "schema"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) {
			t.Errorf("docs/schema/%s is the schema of no report", e.Name())
		}
	}
}

// printers are the commands that print a report, by its kind.
var printers = map[string]string{
	"Status": "status", "History": "status --history", "Check": "check", "Plan": "plan",
	"Result": "migrate, rollback, key rotate, token revoke, and each command that carries out waves",
	"Keys":   "key list", "Tokens": "token list", "Token": "token inspect, token verify", "IssuedToken": "token issue",
	"CreatedKey": "key create", "Revocations": "token revocations", "Certificates": "certificate show",
	"CertificateRequest": "certificate request", "Roster": "edge list", "Webhook": "webhook status", "Version": "version",
	"ProgressEvent": "a line on stderr with --progress=json",
}

// docs/reference/schemas.md is the index of docs/schema. With -update it is written.
func TestTheIndexOfSchemasInDocsIsThatOfTheTypes(t *testing.T) {
	t.Chdir("../..")
	var b strings.Builder
	b.WriteString("# JSON schemas\n\n<!-- This page is made from the programs by: make docs -->\n\n" +
		"One for each `kind` of `-o json` and `-o yaml`: JSON Schema 2020-12, made from the types. " +
		"[Output](../output.md#json) says what may change.\n\n" +
		"| kind | printed by | fields |\n|---|---|---|\n")
	for _, kind := range slices.Sorted(maps.Keys(Kinds())) {
		s, err := Of(kind, Kinds()[kind])
		if err != nil {
			t.Fatal(err)
		}
		if printers[kind] == "" {
			t.Errorf("no command is known to print %s; add it to printers", kind)
		}
		var fields []string
		of := s.Definitions[strings.TrimPrefix(s.Ref, "#/$defs/")]
		for field := of.Properties.Oldest(); field != nil; field = field.Next() {
			fields = append(fields, "`"+field.Key+"`")
		}
		fmt.Fprintf(&b, "| [%s](../schema/%s.json) | %s | %s |\n", kind, kind, printers[kind], strings.Join(fields, ", "))
	}
	golden.Check(t, filepath.Join("docs", "reference", "schemas.md"), b.String())
}

// Every report that the tests have recorded is as its schema says; and one that is not is refused.
func TestEveryRecordedReportIsAsItsSchemaSays(t *testing.T) {
	t.Chdir("../..")
	schemas := compiled(t)
	files, err := filepath.Glob(filepath.Join("test", "net", "testdata", "*.golden"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, file := range append(files, recorded(t)...) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for d := json.NewDecoder(bytes.NewReader(b)); ; {
			var v any
			if err := d.Decode(&v); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			kind, _ := v.(map[string]any)["kind"].(string)
			seen[kind]++
			if err := schemas[kind].Validate(v); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			v.(map[string]any)["kind"] = 7
			if schemas[kind].Validate(v) == nil {
				t.Errorf("%s: a kind that is a number is taken", file)
			}
		}
	}
	for kind := range Kinds() {
		if seen[kind] == 0 {
			t.Errorf("no report of kind %s was validated", kind)
		}
	}
}

// What an earlier release printed has only fields that this one still has, each of the same type: what read that reads
// this. The files are recorded once, and never written again.
func TestWhatEarlierReleasesPrintedIsStillRead(t *testing.T) {
	t.Chdir("../..")
	kinds := Kinds()
	if *record {
		for kind, report := range kinds {
			file := filepath.Join("test", "schema", "testdata", "v1alpha1", kind+".json")
			if _, err := os.Stat(file); err == nil {
				continue
			}
			v := reflect.New(reflect.TypeOf(report)).Elem()
			fill(v)
			v.FieldByName("APIVersion").SetString("xcpauth.io/v1alpha1")
			v.FieldByName("Kind").SetString(kind)
			b, err := json.MarshalIndent(v.Interface(), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files := recorded(t)
	if len(files) != len(kinds) {
		t.Errorf("%d kinds are recorded, and there are %d; run go test ./test/schema -record", len(files), len(kinds))
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		report, known := kinds[strings.TrimSuffix(filepath.Base(file), ".json")]
		if !known {
			t.Errorf("%s is of no kind that there is", file)
			continue
		}
		into := reflect.New(reflect.TypeOf(report))
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(into.Interface()); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func recorded(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("test", "schema", "testdata", "v1alpha1", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// compiled are the schemas of docs, by kind.
func compiled(t *testing.T) map[string]*validator.Schema {
	t.Helper()
	all := map[string]*validator.Schema{}
	for kind := range Kinds() {
		s, err := validator.NewCompiler().Compile(filepath.Join("docs", "schema", kind+".json"))
		if err != nil {
			t.Fatal(err)
		}
		all[kind] = s
	}
	return all
}

// fill gives every field that is encoded a value.
func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		one := reflect.New(v.Type().Elem()).Elem()
		fill(one)
		v.Set(reflect.Append(v, one))
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), value)
	case reflect.String:
		text := "text"
		if values, err := constants(v.Type()); err == nil && len(values) > 0 && v.Type().PkgPath() != "" {
			text = values[len(values)-1].(string)
		}
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(1)
	}
}
