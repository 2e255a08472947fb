/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package logs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// rooms are those of the programs of a cluster.
var rooms = []string{
	"allocator", "controllers", "webhooks", "cmd/manager", "cmd/node", "internal/announce", "internal/balancer", "internal/certificate",
	"internal/dataplane", "internal/discovery", "internal/endpointslices", "internal/follow", "internal/placeholder", "internal/routes",
}

// lines are the calls of a logr.Logger in a file: Info(message, key, value...) and
// Error(err, message, key, value...).
func lines(t *testing.T, path string) (found []line) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !isLogger(selector.X) {
			return true
		}
		message := map[string]int{"Info": 0, "Error": 1}
		at, ok := message[selector.Sel.Name]
		if !ok || len(call.Args) <= at {
			return true
		}
		l := line{where: files.Position(call.Pos()).String(), message: call.Args[at]}
		for i := at + 1; i < len(call.Args); i += 2 {
			l.keys = append(l.keys, call.Args[i])
		}
		l.odd = (len(call.Args)-at)%2 == 0 && !call.Ellipsis.IsValid()
		found = append(found, l)
		return true
	})
	return found
}

type line struct {
	where   string
	message ast.Expr
	keys    []ast.Expr
	odd     bool
}

// isLogger knows a logger by its name, or by how it is got: ctrl.LoggerFrom(ctx),
// log.FromContext(ctx), log.V(2), s.log.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "log" || x.Name == "logger"
	case *ast.SelectorExpr:
		return x.Sel.Name == "log" || x.Sel.Name == "logger"
	case *ast.CallExpr:
		selector, ok := x.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		switch selector.Sel.Name {
		case "LoggerFrom", "FromContext":
			return true
		case "V", "WithValues", "WithName":
			return isLogger(selector.X)
		}
	}
	return false
}

var (
	message = regexp.MustCompile(`^[A-Z].*[^.:!]$`)
	key     = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
)

// synonyms are keys for which there is another one.
var synonyms = map[string]string{
	"err": "reason", "error": "reason", "svc": "service", "ns": "namespace", "ip": "address", "addr": "address", "ipFamily": "family", "nodeName": "node",
}

func text(x ast.Expr) (string, bool) {
	literal, ok := x.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	value, err := strconv.Unquote(literal.Value)
	return value, err == nil
}

func TestLogsHaveConstantMessagesAndKeys(t *testing.T) {
	count := 0
	for _, room := range rooms {
		err := filepath.WalkDir("../../"+room, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, l := range lines(t, path) {
				count++
				if said, constant := text(l.message); !constant || !message.MatchString(said) {
					t.Errorf("%s: a message is one constant that begins with a capital and does not end like a sentence, not %q", l.where, said)
				}
				if l.odd {
					t.Errorf("%s: a key has no value", l.where)
				}
				for _, x := range l.keys {
					name, constant := text(x)
					if !constant || !key.MatchString(name) {
						t.Errorf("%s: a key is a constant in lowerCamelCase, not %q", l.where, name)
					}
					if better, is := synonyms[name]; is {
						t.Errorf("%s: the key %s is called %s elsewhere", l.where, name, better)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if count < 50 {
		t.Errorf("only %d lines of log were found", count)
	}
	t.Logf("%d lines of log", count)
}
