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

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// A schema is a JSON schema, draft 7: what both Helm 3 and Helm 4 know.
type schema map[string]any

func boolean() schema { return schema{"type": "boolean"} }

func number(least, most int) schema {
	return schema{"type": "integer", "minimum": least, "maximum": most}
}

func text(least int) schema {
	if least == 0 {
		return schema{"type": "string"}
	}
	return schema{"type": "string", "minLength": least}
}

func pattern(expression string) schema { return schema{"type": "string", "pattern": expression} }

func oneOf(values ...any) schema { return schema{"enum": values} }

func listOf(items schema) schema { return schema{"type": "array", "items": items} }

// object0 is an object of Kubernetes' own, which the API server knows better.
func object0() schema { return schema{"type": "object"} }

// labels are names with texts.
func labels() schema { return schema{"type": "object", "additionalProperties": text(0)} }

func resources() schema {
	quantities := schema{"type": "object", "additionalProperties": schema{"type": []any{"string", "number"}}}
	return schema{
		"type": "object", "additionalProperties": false,
		"properties": schema{"requests": quantities, "limits": quantities, "claims": listOf(object0())},
	}
}

// schemaFile is values.schema.json. What it does not know is refused, so that a
// slip of the pen in a name is noticed.
func schemaFile(all []*value) (string, error) {
	root := group()
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	properties := root["properties"].(schema)
	// Helm gives it to charts that are part of another.
	properties["global"] = object0()
	for _, v := range all {
		at, inside := properties, root
		names := strings.Split(v.path, ".")
		for _, name := range names[:len(names)-1] {
			if at[name] == nil {
				at[name] = group()
				inside["required"] = append(inside["required"].([]string), name)
			}
			inside = at[name].(schema)
			at = at[name].(schema)["properties"].(schema)
		}
		last := names[len(names)-1]
		if at[last] != nil {
			return "", fmt.Errorf("there are two values %s", v.path)
		}
		described := schema{"description": v.doc}
		maps.Copy(described, v.schema)
		at[last] = described
	}
	encoded, err := json.MarshalIndent(root, "", "  ")
	return string(encoded) + "\n", err
}

// group is an object whose groups are there: Helm takes one out that is null.
func group() schema {
	return schema{"type": "object", "additionalProperties": false, "properties": schema{}, "required": []string{}}
}
