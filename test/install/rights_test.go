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

package install

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew")

// everyone's are rights that every account has: to ask what it may do, and paths that
// say what the server is.
var everyone = regexp.MustCompile(`^(selfsubject\S+|clustertrustbundles\S+|\s+\[(` + strings.Join([]string{
	"/api", `/api/\*`, "/apis", `/apis/\*`, "/healthz", "/livez", "/readyz", "/openapi", `/openapi/\*`, "/version", "/version/",
	`/\.well-known/openid-configuration/?`, "/openid/v1/jwks/?",
}, "|") + `)\])\s`)

// inOrder sorts the verbs of a line, which come as the rules do that give them.
func inOrder(line string) string {
	line = strings.Join(strings.Fields(line), " ")
	begin := strings.LastIndexByte(line, '[') + 1
	verbs := strings.Fields(strings.TrimSuffix(line[begin:], "]"))
	slices.Sort(verbs)
	return line[:begin] + strings.Join(verbs, " ") + "]"
}

// rights compares what an account may do with testdata: in the namespaces that we are
// in, and in another one.
func (c *cluster) rights(t *testing.T, overlay, in, account string) {
	t.Helper()
	var all strings.Builder
	for _, place := range []string{namespace, "kube-system", "default"} {
		out := c.run(t, "auth", "can-i", "--list", "-n", place, "--as=system:serviceaccount:"+in+":"+account)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		lines = slices.DeleteFunc(lines[1:], everyone.MatchString)
		slices.Sort(lines)
		all.WriteString("in namespace " + place + "\n")
		for _, line := range lines {
			all.WriteString("  " + inOrder(line) + "\n")
		}
	}
	path := filepath.Join("testdata", "can-i", overlay+"-"+account+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), all.String()); diff != "" {
		t.Errorf("what ServiceAccount %s/%s may do is not what %s says (- wanted, + there is); -update writes it anew:\n%s", in, account, path, diff)
	}
	t.Logf("%s/%s\n%s", in, account, all.String())
}
