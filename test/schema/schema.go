package schema

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render/certificates"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render/zones"
)

// module is the path of the module. Everything here runs in its directory.
const module = "github.com/xcpauth/kubectl-xcpauth"

// comments are those of the types, read once.
var comments = sync.OnceValues(func() (map[string]string, error) {
	var r jsonschema.Reflector
	err := r.AddGoComments(module, "./pkg")
	return r.CommentMap, err
})

// Kinds are the reports, by their kind.
func Kinds() map[string]any {
	return map[string]any{"Status": render.Status{}, "Check": render.Check{}, "Plan": render.Plan{},
		"Result": render.Result{}, "History": render.History{}, "Roster": render.Roster{}, "Token": render.Token{},
		"Webhook": render.Webhook{}, "Keys": zones.Keys{}, "Tokens": zones.Tokens{}, "IssuedToken": zones.Issued{},
		"CreatedKey": zones.CreatedKey{}, "Revocations": zones.Revocations{}, "Certificates": certificates.Certificates{},
		"CertificateRequest": certificates.Request{}, "Version": render.Version{},
		"ProgressEvent": render.ProgressEvent{}}
}

// Of makes the schema of a report: its properties as the type has them, described by their comments, with the values of
// every type whose constants are its values. A property that it does not know is allowed: later releases add some.
func Of(kind string, report any) (*jsonschema.Schema, error) {
	said, err := comments()
	if err != nil {
		return nil, fmt.Errorf("reading the comments: %w", err)
	}
	r := &jsonschema.Reflector{AllowAdditionalProperties: true, Anonymous: true, CommentMap: said}
	var failed error
	r.Mapper = func(t reflect.Type) *jsonschema.Schema {
		switch {
		case t == reflect.TypeFor[time.Time]():
			return &jsonschema.Schema{Type: "string", Format: "date-time"}
		case t.Kind() != reflect.String || !strings.HasPrefix(t.PkgPath(), module):
			return nil
		}
		values, err := constants(t)
		if err != nil {
			failed = err
		}
		return &jsonschema.Schema{Type: "string", Enum: values}
	}
	s := r.Reflect(report)
	s.ID = jsonschema.ID("https://xcpauth.io/schema/v1alpha1/" + kind + ".json")
	s.Title = kind
	return s, failed
}

// constants are the values of the constants of a type, in the order of its source; none where it has none, since then
// anything may be one.
func constants(t reflect.Type) ([]any, error) {
	dir := filepath.FromSlash(strings.TrimPrefix(t.PkgPath(), module+"/"))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var values []any
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, is := n.(*ast.ValueSpec)
			if is {
				values = append(values, valuesOf(spec, t.Name())...)
			}
			return true
		})
	}
	return values, nil
}

// valuesOf are the texts of constants of a type: X T = "text", or X = T(other.Y), whose text is Y in lower case.
func valuesOf(spec *ast.ValueSpec, name string) []any {
	var values []any
	typed := false
	if id, is := spec.Type.(*ast.Ident); is {
		typed = id.Name == name
	}
	for _, v := range spec.Values {
		switch v := v.(type) {
		case *ast.BasicLit:
			if text, err := strconv.Unquote(v.Value); err == nil && typed {
				values = append(values, text)
			}
		case *ast.CallExpr:
			of, is := v.Fun.(*ast.Ident)
			if !is || of.Name != name || len(v.Args) != 1 {
				continue
			}
			if other, is := v.Args[0].(*ast.SelectorExpr); is {
				values = append(values, strings.ToLower(other.Sel.Name))
			}
		}
	}
	return values
}
