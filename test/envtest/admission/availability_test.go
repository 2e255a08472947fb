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
	"context"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/cmd/manager/app"
	"switchyard.dev/switchyard/webhooks"
)

var _ = Describe("A manager that comes and goes", Ordered, func() {
	var open, enforced string

	BeforeAll(func() {
		open = newNamespace(nil)
		enforced = newNamespace(map[string]string{webhooks.EnforceLabel: webhooks.EnforceValue})
	})

	It("does not stop Services while it is away, except where that was asked for", func() {
		Expect(create(makeService(open, "web").external("10.0.0.2").Service)).To(Succeed())
		Expect(create(makeService(enforced, "web").Service)).To(
			MatchError(ContainSubstring(`failed calling webhook "service-enforce.validate.switchyard.dev"`)))
	})

	It("judges both kinds of namespace when it is back", func() {
		manager := start()
		DeferCleanup(manager.stop)
		Expect(dryRun(makeService(enforced, "web").external("10.0.0.3").Service)).
			To(beRefused("service-enforce.validate.switchyard.dev", "rule X3"))
		Expect(create(makeService(enforced, "web").Service)).To(Succeed())
		Expect(dryRun(makeService(open, "other").external("10.0.0.3").Service)).To(beRefused("rule X3"))
	})

	It("leaves editable what became wrong while it was away", func() {
		manager := start()
		DeferCleanup(manager.stop)
		web := makeService(open, "web").Service
		Expect(api.Get(context.Background(), client.ObjectKeyFromObject(web), web)).To(Succeed())
		web.Labels = map[string]string{"tier": "front"}
		web.Spec.Ports[0].Port = 8080
		Expect(api.Update(context.Background(), web)).To(Succeed())
		web.Spec.ExternalIPs = append(web.Spec.ExternalIPs, "10.0.0.4")
		Expect(api.Update(context.Background(), web)).To(beRefused("spec.externalIPs[1]"))
	})

	It("refuses nothing in the audit mode, and says what it would refuse", func() {
		manager := start(func(options *app.Options) { options.Admission.Audit = true })
		DeferCleanup(manager.stop)
		for _, namespace := range []string{open, enforced} {
			Expect(warnings.during(func() error { return dryRun(makeService(namespace, "audited").external("10.0.0.3").Service) })).
				To(ConsistOf(And(HavePrefix("would be refused: spec.externalIPs[0]"), ContainSubstring("rule X3"))))
		}
	})

	It("obeys other severities", func() {
		manager := start(func(options *app.Options) {
			maps.Copy(options.Rules, webhooks.Severities{"X3": webhooks.Warn, "X11": webhooks.Deny, "X12": webhooks.Off})
		})
		DeferCleanup(manager.stop)
		Expect(warnings.during(func() error { return dryRun(makeService(open, "soft").external("10.0.0.14").Service) })).
			To(ConsistOf(And(ContainSubstring("spec.externalIPs[0]"), ContainSubstring("rule X3"))))

		Expect(create(makePod(open, "a", "web"))).To(Succeed())
		Expect(create(makeService(open, "first").selects("web").Service)).To(Succeed())
		Eventually(dryRun).WithArguments(makeService(open, "second").selects("web").targets("http").Service).
			Should(beRefused("spec.ports[0].targetPort", "rule X11"))
		Expect(warnings.during(func() error { return dryRun(makeService(open, "third").selects("web").Service) })).To(BeEmpty())
	})
})
