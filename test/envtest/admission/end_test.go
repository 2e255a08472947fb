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

package admission

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("A manager that ends", func() {
	It("has who keeps asking connect anew first, as there may be another one", func() {
		manager := start()
		DeferCleanup(manager.stop)
		caller := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		DeferCleanup(caller.CloseIdleConnections)
		url := fmt.Sprintf("https://%s:%d/validate--v1-service", env.WebhookInstallOptions.LocalServingHost, env.WebhookInstallOptions.LocalServingPort)
		leads := func() bool {
			GinkgoHelper()
			response, err := caller.Post(url, "application/json", strings.NewReader("{}"))
			Expect(err).NotTo(HaveOccurred())
			_, err = io.Copy(io.Discard, response.Body) // else the connection is not kept
			Expect(err).NotTo(HaveOccurred())
			Expect(response.Body.Close()).To(Succeed())
			return response.Close
		}
		Expect(leads()).To(BeFalse())
		manager.cancel()
		for !leads() { // or it ends, which is an error
			continue
		}
	})
})
