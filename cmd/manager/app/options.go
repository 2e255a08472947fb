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

package app

import (
	"os"
	"time"

	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/internal/balancer"
	"switchyard.dev/switchyard/internal/certificate"
	"switchyard.dev/switchyard/webhooks"
)

// Options is everything the manager can be told. Flags and the file named by
// --config fill it; Defaults and Validate belong to it.
type Options struct {
	Kubeconfig string
	Namespace  string
	ConfigFile string
	Version    bool
	Zap        zap.Options

	LeaderElect      bool
	ProbeBindAddress string
	Metrics          MetricsOptions
	// Profiling serves profiles beside the metrics.
	Profiling   bool
	Webhooks    WebhookOptions
	EnableHTTP2 bool
	// Certificates say how long each step of exchanging our own takes, where
	// that differs from the defaults.
	Certificates certificate.Options

	// Endpoints says which endpoint controllers of Kubernetes to stand in for.
	Endpoints controllers.EndpointsMode
	// EndpointsTuning has their limits and pace.
	EndpointsTuning controllers.EndpointsOptions

	// Allocation says how much the allocator decides.
	Allocation allocator.Mode
	// NodePorts is the range they are allocated from.
	NodePorts allocator.PortSpan
	// RetainLimit is how many numbers of Services that are gone the annotation
	// switchyard.dev/retain keeps in a namespace that does not say.
	RetainLimit int

	// LoadBalancers says which Services get addresses of AddressPools.
	LoadBalancers LoadBalancerOptions

	// Diagnosis says whether Services are told in their status why they do not answer.
	Diagnosis bool
	// DiagnosisGrace is how long something has to be wrong before; 0 for the default.
	DiagnosisGrace time.Duration
	// DiagnosisPace is the shortest time between two looks at a Service; 0 for the
	// default.
	DiagnosisPace time.Duration

	// Rules are the severities of the admission rules.
	Rules webhooks.Severities
	// rules are the --rule flags as given. They are applied after the file.
	rules []string
	// Admission is what else the rules are told.
	Admission AdmissionOptions

	// given are the flags of the command line, which the file does not change.
	given map[string]bool
}

// AdmissionOptions are about all rules.
type AdmissionOptions struct {
	// Audit refuses nothing and warns instead.
	Audit bool
	// ClusterDomain ends the DNS names of Services.
	ClusterDomain string
	// LoadBalancerClasses are known to be served.
	LoadBalancerClasses []string
	// EndpointWriters are users whose endpoints are trusted.
	EndpointWriters []string
	// RequirePools are the uses of addresses that need a pool.
	RequirePools []v1alpha1.AddressUse
}

// LoadBalancerOptions are about Services of type LoadBalancer.
type LoadBalancerOptions struct {
	// Enabled is false for --loadbalancers=off: no Service gets an address.
	Enabled bool
	// Class says which Services are served.
	Class balancer.Class
}

// defaultLoadBalancerClass is the spec.loadBalancerClass of Services that ask for
// addresses of ours.
const defaultLoadBalancerClass = "switchyard.dev/loadbalancer"

// MetricsOptions say where metrics are served and how they are protected.
type MetricsOptions struct {
	BindAddress string
	Secure      bool
	CertFiles
}

// WebhookOptions say whether and where webhooks are served.
type WebhookOptions struct {
	// Enabled is false for --webhooks=off: no server and no certificates.
	Enabled bool
	// Host is the address to serve at; all of them when empty.
	Host string
	// Port is 1 to 65535.
	Port int
	// CertFiles are used instead of certificates of our own when Dir is set.
	CertFiles
	// ClientCA is a file of certificate authorities: who calls has to show a
	// certificate of one of them. Anybody may call when it is empty.
	ClientCA string
	// ServiceName is the Service the API server calls, which the
	// certificate is for.
	ServiceName string
	// ValidatingConfiguration and MutatingConfiguration are the objects that
	// get the certificate authority.
	ValidatingConfiguration string
	MutatingConfiguration   string
}

// CertFiles name a certificate and its key in a directory, which may change
// while the manager runs.
type CertFiles struct {
	Dir, Cert, Key string
}

// defaultNamespace is where the install tree puts everything.
const defaultNamespace = "switchyard-system"

// Defaults fills in what is not set.
func (o *Options) Defaults() {
	if o.Namespace == "" {
		o.Namespace = os.Getenv("POD_NAMESPACE")
	}
	if o.Namespace == "" {
		o.Namespace = defaultNamespace
	}
	files := CertFiles{Cert: "tls.crt", Key: "tls.key"}
	o.ProbeBindAddress = ":8081"
	o.Metrics = MetricsOptions{BindAddress: "0", Secure: true, CertFiles: files}
	o.Webhooks = WebhookOptions{
		Enabled: true, Port: 9443, CertFiles: files,
		ServiceName:             "switchyard-webhook-service",
		ValidatingConfiguration: "switchyard-validating-webhook-configuration",
		MutatingConfiguration:   "switchyard-mutating-webhook-configuration",
	}
	o.Endpoints = controllers.EndpointsOff
	o.EndpointsTuning.Default()
	o.Allocation = allocator.Advisory
	o.NodePorts = allocator.DefaultNodePorts
	o.RetainLimit = controllers.DefaultRetainLimit
	o.LoadBalancers = LoadBalancerOptions{Enabled: true, Class: balancer.Class{Name: defaultLoadBalancerClass}}
	o.Diagnosis = true
	o.Rules = webhooks.Severities{}
	o.Admission.ClusterDomain = webhooks.DefaultClusterDomain
	// Where an error came from in the code helps nobody who reads the log.
	o.Zap.StacktraceLevel = zapcore.DPanicLevel
}
