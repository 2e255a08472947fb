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
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Clean takes out of an object, as JSON has it, what says nothing about a fault or
// may be a secret: annotations and environment variables that are not known to be
// none, the values of flags whose names tell, managed fields, lists of images. It
// changes the object.
func Clean(object map[string]any) {
	if object["kind"] == "Secret" { // none is read; one that came all the same is empty
		delete(object, "data")
		delete(object, "stringData")
	}
	walk(object)
}

func walk(value any) {
	switch v := value.(type) {
	case map[string]any:
		delete(v, "managedFields")
		delete(v, "binaryData")
		for key, inner := range v {
			switch in := inner.(type) {
			case map[string]any:
				if key == "annotations" {
					annotations(in)
				}
			case []any:
				switch key {
				case "env":
					environment(in)
				case "args", "command":
					arguments(in)
				case "images":
					v[key] = []any{fmt.Sprintf("%d left out", len(in))}
				}
			case string:
				if key == "caBundle" {
					v[key] = authorities(in)
				}
			}
			walk(v[key])
		}
	case []any:
		for _, inner := range v {
			walk(inner)
		}
	}
}

// ownDomains end the names of annotations that are kept: those of Kubernetes and ours.
// Others may hold anything.
var ownDomains = []string{"kubernetes.io", "k8s.io", "switchyard.dev"}

// lastApplied has a whole object in it.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func annotations(all map[string]any) {
	delete(all, lastApplied)
	for name := range all {
		domain, _, hasDomain := strings.Cut(name, "/")
		ours := slices.ContainsFunc(ownDomains, func(own string) bool { return domain == own || strings.HasSuffix(domain, "."+own) })
		if !hasDomain || !ours {
			all[name] = gone
		}
	}
}

// plainVariables are those of our manifests, and of Go, which hold no secrets.
var plainVariables = regexp.MustCompile(`^(POD_NAMESPACE|POD_NAME|NODE_NAME|KUBERNETES_SERVICE_(HOST|PORT)|GO(GC|MEMLIMIT|MAXPROCS|DEBUG|TRACEBACK))$`)

func environment(variables []any) {
	for _, v := range variables {
		variable, is := v.(map[string]any)
		if !is {
			continue
		}
		name, _ := variable["name"].(string)
		if _, has := variable["value"]; has && !plainVariables.MatchString(name) {
			variable["value"] = gone
		}
	}
}

// telling is a flag without its value, which is the next argument.
var telling = regexp.MustCompile(`(?i)^--?(?:` + secretName + `)$`)

func arguments(all []any) {
	for i := range all {
		if text, is := all[i].(string); is && telling.MatchString(text) && i+1 < len(all) {
			all[i+1] = gone
		}
	}
}

// authorities says of a bundle what there is to know of it.
func authorities(bundle string) string {
	text, _ := base64.StdEncoding.DecodeString(bundle)
	var parts []string
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			parts = append(parts, fmt.Sprintf("%s until %s", c.Subject, c.NotAfter.UTC().Format(time.RFC3339)))
		}
	}
	return fmt.Sprintf("%d bytes: %s", len(text), strings.Join(parts, "; "))
}
