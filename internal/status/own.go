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

package status

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
)

// ErrAnother tells of a port of an agent's where another program answers.
var ErrAnother = errors.New("not the agent")

// The pages by which an agent is told from another program, of each of its ports.
const (
	ProofOfMetrics = "/metrics"
	ProofOfHealth  = "/readyz"
)

// Own gets one of the proofs, and is ErrAnother if it is not an agent who answers:
// kube-proxy has the same ports, and much of what an agent says it says, too. Nothing
// else that is got of that port is the agent's own account then.
func Own(proof string, get func(path string) (Page, error)) (Page, error) {
	page, err := get(proof)
	if err != nil {
		return page, err
	}
	own, kubeProxys := page.Code != http.StatusNotFound, false
	if proof == ProofOfMetrics {
		own, kubeProxys = hasSeries(page.Body, metricBuild), hasSeries(page.Body, "kubeproxy_")
	} else if !own { // kube-proxy has no /readyz, and says on /healthz what we say, too
		health, err := get("/healthz")
		kubeProxys = err == nil && bytes.Contains(health.Body, []byte(`"lastUpdated"`))
	}
	switch {
	case own:
		return page, nil
	case kubeProxys:
		return Page{}, fmt.Errorf("kube-proxy answers here, %w", ErrAnother)
	case page.Code != http.StatusOK && proof == ProofOfMetrics:
		return Page{}, fmt.Errorf("%s answers %d", proof, page.Code)
	}
	return Page{}, fmt.Errorf("another program answers here, %w", ErrAnother)
}

// hasSeries tells whether a page of metrics has a series whose name begins so.
func hasSeries(page []byte, prefix string) bool {
	return bytes.HasPrefix(page, []byte(prefix)) || bytes.Contains(page, []byte("\n"+prefix))
}
