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

package bugreport

import (
	"strings"
	"testing"
)

func BenchmarkRedact(b *testing.B) {
	line := `2026-11-22T06:47:08.123456Z	INFO	Reconciled	{"controller": "endpointslice", "Service": {"name":"web","namespace":"shop"}, "reconcileID": "b2b6a4c2-2d2e-4f0e-8c7b-2e1f6a3c9d10"}` + "\n"
	text := strings.Repeat(line, 5000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Redact(text)
	}
}

func BenchmarkRedactDocument(b *testing.B) {
	pod := `{"kind":"Pod","metadata":{"name":"web-6d4cf56db6-x7x2z","namespace":"shop","labels":{"app":"web"}},"spec":{"containers":[{"name":"web",` +
		`"args":["--v=2","--bind-address=0.0.0.0"],"env":[{"name":"PORT","value":"8080"}],"image":"registry.example.com/shop/web:v1"}],"nodeName":"node-1"},` +
		`"status":{"phase":"Running","podIPs":[{"ip":"10.244.1.17"}],"conditions":[{"type":"Ready","status":"True","message":"all is well"}]}}`
	text := "[" + strings.Repeat(pod+",", 300) + pod + "]"
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Redact(text)
	}
}

func BenchmarkRedactDeepDocument(b *testing.B) {
	const depth = 9000
	text := strings.Repeat(`{"a":`, depth) + `"` + strings.Repeat("x ", 200_000) + `"` + strings.Repeat("}", depth)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Redact(text)
	}
}
