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

package pools

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/placeholder"
	"switchyard.dev/switchyard/test/testenv/numbers"
	"switchyard.dev/switchyard/test/testenv/rights"
)

const systemNamespace = numbers.Namespace

var (
	server *numbers.Server
	admin  client.Client
)

func TestPools(t *testing.T) {
	RegisterFailHandler(Fail)
	rights.AskedBy(t, "test/envtest/pools", func() bool { return RunSpecs(t, "Pools and reservations against a real API server") })
}

var _ = BeforeSuite(func(ctx SpecContext) {
	server = numbers.StartServer(ctx, "10.0.0.0/24", "30000-30031", map[string]map[string]string{
		"red": {"team": "red"}, "blue": {"team": "blue"}, "others": nil,
	})
	admin = server.Admin
})

// scene is a manager, as far as allocation goes, in one mode.
type scene struct {
	mode   allocator.Mode
	rules  bool // are asked, too
	index  *allocator.Services
	keeper *placeholder.Keeper
}

func inEachMode(table func(*scene)) { inEachModeOf(scene{}, table) }

func inEachModeOf(template scene, table func(*scene)) {
	for _, mode := range []allocator.Mode{allocator.Advisory, allocator.Authoritative} {
		Describe(string(mode), Ordered, ContinueOnFailure, func() {
			s := &scene{mode: mode, rules: template.rules}
			BeforeAll(func(ctx SpecContext) { s.begin(ctx) })
			AfterEach(func(ctx SpecContext) { s.clean(ctx) })
			table(s)
		})
	}
}

func (s *scene) begin(ctx context.Context) {
	GinkgoHelper()
	webhook := server.InstallWebhook(ctx)
	s.index = server.StartManager(numbers.Manager{Webhook: webhook, Mode: s.mode, Rules: s.rules}).Index
	s.keeper = server.Keeper()
	Eventually(server.CallsWebhook).WithArguments(ctx).Should(BeTrue(), "the webhook is not called")
	if s.rules {
		server.InstallRules(ctx, webhook)
		Eventually(server.AsksRules).WithArguments(ctx).Should(BeTrue(), "the rules are not asked")
	}
}
