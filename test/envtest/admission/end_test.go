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
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/cmd/manager/app"
)

var _ = Describe("A manager that ends", func() {
	It("has who keeps asking connect anew first, as there may be another one", func() {
		manager := start()
		DeferCleanup(manager.stop)
		caller := &http.Client{Transport: insecure()}
		DeferCleanup(caller.CloseIdleConnections)
		leads := func() bool {
			_, closes := review(caller)
			return closes
		}
		Expect(leads()).To(BeFalse())
		manager.cancel()
		for !leads() { // or it ends, which is an error
			continue
		}
	})

	It("that has lost its lease judges on, and waits for those who have asked", func(ctx SpecContext) {
		var probes string
		manager := start(func(o *app.Options) { o.LeaderElect, probes = true, o.ProbeBindAddress })
		DeferCleanup(manager.cancel)
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "manager.switchyard.dev"}}
		DeferCleanup(func(ctx SpecContext) { Expect(api.Delete(ctx, lease)).To(Succeed()) })
		leader := func() (string, error) {
			err := api.Get(ctx, client.ObjectKeyFromObject(lease), lease)
			return ptr.Deref(lease.Spec.HolderIdentity, ""), err
		}
		Eventually(leader).ShouldNot(BeEmpty())

		slow, err := tls.Dial("tcp", webhookAddress(), insecure().TLSClientConfig)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(slow.Close)
		_, err = fmt.Fprintf(slow, "POST %s HTTP/1.1\r\nHost: webhook\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
			servicesPath, len(reviewText))
		Expect(err).NotTo(HaveOccurred())
		answers := bufio.NewReader(slow)
		Expect(answers.ReadString('\n')).To(ContainSubstring("100 Continue")) // it is being read
		Expect(answers.ReadString('\n')).To(Equal("\r\n"))

		Eventually(func() error { // the leader renews meanwhile
			if _, err := leader(); err != nil {
				return err
			}
			lease.Spec.HolderIdentity, lease.Spec.RenewTime = new("somebody else"), new(metav1.NowMicro())
			return api.Update(ctx, lease)
		}).Should(Succeed())
		caller := &http.Client{Transport: insecure()}
		DeferCleanup(caller.CloseIdleConnections)
		for closes := false; !closes; {
			var text string
			text, closes = review(caller)
			Expect(text).To(ContainSubstring("rule X3"))
		}
		Eventually(func() error { return ready(probes) }).Should(MatchError(ContainSubstring("connection refused")))
		Consistently(manager.done).ShouldNot(Receive())
		_, err = io.WriteString(slow, reviewText)
		Expect(err).NotTo(HaveOccurred())
		answer, err := http.ReadResponse(answers, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(io.ReadAll(answer.Body)).To(ContainSubstring("uid-of-end"))
		Eventually(manager.done).Should(Receive(MatchError(ContainSubstring("leader election lost"))))
	})
})

// reviewText asks for a Service that rule X3 refuses.
const reviewText = `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "uid-of-end", "operation": "CREATE",
	"kind": {"version": "v1", "kind": "Service"}, "resource": {"version": "v1", "resource": "services"}, "namespace": "default", "name": "end",
	"userInfo": {"username": "somebody"},
	"object": {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": "end"},
		"spec": {"type": "ClusterIP", "externalIPs": ["10.0.0.2"], "ports": [{"port": 80, "protocol": "TCP"}]}}}}`

// review asks the webhook of Services, and returns the answer and whether the server
// has the caller connect anew.
func review(caller *http.Client) (answer string, closes bool) {
	GinkgoHelper()
	response, err := caller.Post("https://"+webhookAddress()+servicesPath, "application/json", strings.NewReader(reviewText))
	Expect(err).NotTo(HaveOccurred())
	text, err := io.ReadAll(response.Body) // else the connection is not kept
	Expect(err).NotTo(HaveOccurred())
	Expect(response.Body.Close()).To(Succeed())
	return string(text), response.Close
}

// servicesPath is the webhook's, of an API server that waits for long.
const servicesPath = "/validate--v1-service?timeout=30s"

func webhookAddress() string {
	return fmt.Sprintf("%s:%d", env.WebhookInstallOptions.LocalServingHost, env.WebhookInstallOptions.LocalServingPort)
}

func insecure() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
}
