// Package source reads constants from Go source, for tests that compare what users meet as a number or a code with what the
// manual says of it.
package source

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
)

// Constant is a constant with a literal value.
type Constant struct {
	Name string
	// Type is the name of its type where the declaration has one.
	Type string
	// Value is the text of a number, or the string itself.
	Value string
}

// Constants returns the constants with literal values in the Go files of a folder. There is at least one, or an error.
func Constants(dir string) ([]Constant, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var found []Constant
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parsing the constants: %w", err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
				c := Constant{Name: spec.Names[0].Name, Value: literal.Value}
				if literal.Kind == token.STRING {
					c.Value, _ = strconv.Unquote(literal.Value) // the parser has accepted it
				}
				if kind, ok := spec.Type.(*ast.Ident); ok {
					c.Type = kind.Name
				}
				found = append(found, c)
			}
			return false
		})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("finding constants in %s: there are none", dir)
	}
	return found, nil
}
