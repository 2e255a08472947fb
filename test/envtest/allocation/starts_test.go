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

package allocation

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/process"
)

// starts are the rows about what the server does when it starts: it looks at all
// NodePorts once, and then every three minutes.
func starts() {
	It("compares NodePorts with the Services when an API server starts, with Events and counters", func(ctx SpecContext) {
		s := &scene{cluster: small, mode: allocator.Off}
		s.withFreedPort(ctx, "lost", 30004)
		s.withFreedPort(ctx, "web", 30003)
		s.unseen(ctx, 30003)
		s.create(ctx, service("far", corev1.ServiceTypeNodePort, 30015))

		grown.startBeside(small)
		Eventually(func(g Gomega) {
			var events eventsv1.EventList
			g.Expect(grown.admin.List(ctx, &events)).To(Succeed())
			g.Expect(namesOf(events.Items, func(e eventsv1.Event) string { return e.Regarding.Name + " " + e.Reason + ": " + e.Note })).To(ContainElements(
				"lost PortNotAllocated: Port 30004 is not allocated; repairing",
				HaveSuffix(" PortAlreadyAllocated: Port 30003 was assigned to multiple services; please recreate service"),
				"far PortOutOfRange: Port 30015 is not within the port range 30000-30013; please recreate service"))
		}).Should(Succeed())
		s = &scene{cluster: grown, mode: allocator.Off}
		Expect(s.bitIsFree(ctx, 30004)).To(BeFalse())
		Expect(s.bitIsFree(ctx, 30003)).To(BeFalse())
		for _, kind := range []string{"repair", "duplicate", "outOfRange"} {
			Expect(s.metrics(ctx)).To(HaveKeyWithValue("apiserver_nodeport_repair_port_errors_total{type=\""+kind+"\"}", 1.0))
		}
		s.clean(ctx)
	})
}

// startBeside runs an API server on the etcd of another cluster, and what
// kube-controller-manager has to do with numbers.
func (c *cluster) startBeside(first *cluster) {
	GinkgoHelper()
	assets, err := testenv.Assets()
	Expect(err).NotTo(HaveOccurred())
	server := &envtest.APIServer{Path: filepath.Join(assets, "kube-apiserver"), EtcdURL: first.environment.ControlPlane.Etcd.URL, StartTimeout: 3 * time.Minute}
	server.Configure().Set("service-cluster-ip-range", c.addresses).Set("service-node-port-range", c.ports)
	Expect(server.Start()).To(Succeed())
	c.stops = append(c.stops, server.Stop)
	user, err := (&envtest.ControlPlane{APIServer: server}).AddUser(
		envtest.User{Name: "admin", Groups: []string{"system:masters"}}, &rest.Config{QPS: 1000, Burst: 2000})
	Expect(err).NotTo(HaveOccurred())
	c.cfg = user.Config()
	c.admin, err = client.New(c.cfg, client.Options{Scheme: clientgoscheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	kubeconfig, err := user.KubeConfig()
	Expect(err).NotTo(HaveOccurred())
	c.startControllers(kubeconfig)
}

// startControllers runs them as long as the cluster is there, which is longer than
// a spec.
func (c *cluster) startControllers(kubeconfig []byte) {
	GinkgoHelper()
	folder, err := os.MkdirTemp("", "allocation-")
	Expect(err).NotTo(HaveOccurred())
	c.stops = append(c.stops, func() error { return os.RemoveAll(folder) })
	path := filepath.Join(folder, "kubeconfig")
	Expect(os.WriteFile(path, kubeconfig, 0o600)).To(Succeed())
	controllers, err := process.Start(process.KubeControllerManager(path, "service-cidr-controller,resourcequota-controller", "--leader-elect=false"),
		nil, filepath.Join(folder, "log"))
	Expect(err).NotTo(HaveOccurred())
	c.stops = append(c.stops, func() error {
		controllers.Kill()
		return nil
	})
}

// end stops what was started last first.
func (c *cluster) end() error {
	var errs []error
	for _, stop := range slices.Backward(c.stops) {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// putToEtcd writes what the API server would not take, by etcd's JSON gateway.
func (c *cluster) putToEtcd(key string, value []byte) {
	GinkgoHelper()
	body, err := json.Marshal(map[string]string{
		"key": base64.StdEncoding.EncodeToString([]byte(key)), "value": base64.StdEncoding.EncodeToString(value),
	})
	Expect(err).NotTo(HaveOccurred())
	response, err := http.Post(c.environment.ControlPlane.Etcd.URL.String()+"/v3/kv/put", "application/json", bytes.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	Expect(response.Body.Close()).To(Succeed())
	Expect(response.StatusCode).To(Equal(http.StatusOK))
}
