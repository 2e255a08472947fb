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

package loadbalancer

import (
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/test/testenv/numbers"
	"switchyard.dev/switchyard/test/testenv/rights"
)

const (
	systemNamespace = numbers.Namespace
	class           = "switchyard.dev/loadbalancer"
)

var (
	server *numbers.Server
	admin  client.Client
	past   *history
	shared *lead
)

func TestLoadBalancers(t *testing.T) {
	RegisterFailHandler(Fail)
	rights.AskedBy(t, "test/envtest/loadbalancer", func() bool { return RunSpecs(t, "Addresses of load balancers") })
}

var _ = BeforeSuite(func(ctx SpecContext) {
	SetDefaultConsistentlyDuration(500 * time.Millisecond)
	server = numbers.StartServer(ctx, "10.0.0.0/20,fd00:10::/112", "30000-32767", nil)
	admin = server.Admin
	past = watchHistory()
	shared = newLead(nil)
})

var _ = AfterSuite(func() {
	if shared != nil {
		shared.stop()
	}
})

var _ = AfterEach(func() {
	Expect(past.wrongs()).To(BeEmpty(), "addresses that two Services had at once")
})
