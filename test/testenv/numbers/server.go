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

package numbers

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
	"switchyard.dev/switchyard/test/testenv"
)

// Namespace is the manager's own.
const Namespace = "switchyard-system"

// Server is the API server of a suite.
type Server struct {
	Config *rest.Config
	// Admin may do anything and reads past every cache.
	Admin client.Client
	// NodePorts is what the API server gives ports from.
	NodePorts allocator.PortSpan

	scheme *runtime.Scheme
}

// StartServer starts an API server that gives numbers from these ranges, and makes
// the manager's namespace, with the roles that an installation has there, and others
// with their labels. It ends with the suite, for whose BeforeSuite this is.
func StartServer(ctx context.Context, clusterIPs, nodePorts string, namespaces map[string]map[string]string) *Server {
	ginkgo.GinkgoHelper()
	gomega.SetDefaultEventuallyTimeout(3 * time.Minute) // The machine may have other work.
	gomega.SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	ctrl.SetLogger(zap.New(zap.WriteTo(ginkgo.GinkgoWriter), zap.UseDevMode(true)))
	s := &Server{scheme: runtime.NewScheme()}
	gomega.Expect(clientgoscheme.AddToScheme(s.scheme)).To(gomega.Succeed())
	gomega.Expect(v1alpha1.AddToScheme(s.scheme)).To(gomega.Succeed())
	environment, err := testenv.New()
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", clusterIPs).
		Set("service-node-port-range", nodePorts)
	s.Config, err = environment.Start()
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(environment.Stop)
	s.Admin, err = client.New(s.Config, client.Options{Scheme: s.scheme})
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	s.NodePorts, err = allocator.ParsePortSpan(nodePorts)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())

	s.namespace(ctx, Namespace, nil)
	s.installRoles(ctx)
	for name, labels := range namespaces {
		s.namespace(ctx, name, labels)
	}
	return s
}

func (s *Server) namespace(ctx context.Context, name string, labels map[string]string) {
	ginkgo.GinkgoHelper()
	gomega.Expect(s.Admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})).To(gomega.Succeed())
}

// Keeper is one that may do anything and knows nothing by heart.
func (s *Server) Keeper() *placeholder.Keeper {
	return &placeholder.Keeper{Client: s.Admin, Live: s.Admin, Namespace: Namespace}
}
