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
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/util/validation"
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

func (o *Options) flagSet() *flag.FlagSet {
	flags := flag.NewFlagSet("switchyard-manager", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // Main prints the error, once, and help when asked.
	o.AddFlags(flags)
	return flags
}

// AddFlags registers the flags with the present values as defaults.
func (o *Options) AddFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "Kubeconfig `file`; without it $KUBECONFIG, the pod's own account, or ~/.kube/config.")
	flags.StringVar(&o.Namespace, "namespace", o.Namespace, "`Namespace` of the lease and of the certificate secret; $POD_NAMESPACE when not given.")
	flags.StringVar(&o.ConfigFile, "config", o.ConfigFile, "Configuration `file`, which flags override.")
	flags.BoolVar(&o.Version, "version", false, "Print the version and exit.")
	flags.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect, "Let one of several replicas run the controllers. Webhooks are served by all.")
	flags.StringVar(&o.ProbeBindAddress, "health-probe-bind-address", o.ProbeBindAddress, "`Address` of /healthz and /readyz; 0 serves none.")
	flags.BoolVar(&o.EnableHTTP2, "enable-http2", o.EnableHTTP2, "Serve HTTP/2 for metrics and webhooks (off because of CVE-2023-44487 and its kin).")
	o.addMetricsFlags(flags)
	o.addWebhookFlags(flags)
	o.addEndpointsFlags(flags)
	o.addAllocationFlags(flags)
	o.addLoadBalancerFlags(flags)
	flags.Var(onOff{&o.Diagnosis}, "diagnosis", "Keep conditions in the status of Services that say why one does not answer: `on or off`.")
	flags.Func("rule", "Severity of one admission `rule`, for example X12=off; deny, warn or off. May be given again.", func(text string) error {
		o.rules = append(o.rules, text)
		return webhooks.Severities{}.SetText(text)
	})
	flags.BoolVar(&o.Admission.Audit, "admission-audit", o.Admission.Audit,
		"Let the admission rules refuse nothing: what they would refuse is a warning, counted and logged.")
	flags.StringVar(&o.Admission.ClusterDomain, "cluster-domain", o.Admission.ClusterDomain,
		"DNS `domain` of the cluster, in which Services have their names.")
	o.Zap.BindFlags(flags)
}

func (o *Options) addMetricsFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.Metrics.BindAddress, "metrics-bind-address", o.Metrics.BindAddress, "`Address` of /metrics, for example :8443; 0 serves none.")
	flags.BoolVar(&o.Metrics.Secure, "metrics-secure", o.Metrics.Secure, "Serve metrics by HTTPS, to those whom the API server allows.")
	flags.BoolVar(&o.Profiling, "profiling", o.Profiling, "Serve /debug/pprof beside /metrics, to those whom the API server allows.")
	flags.StringVar(&o.Metrics.Dir, "metrics-cert-path", o.Metrics.Dir, "`Directory` of the metrics certificate; self-signed when not given.")
	flags.StringVar(&o.Metrics.Cert, "metrics-cert-name", o.Metrics.Cert, "Metrics certificate `file` in that directory.")
	flags.StringVar(&o.Metrics.Key, "metrics-cert-key", o.Metrics.Key, "Metrics key `file` in that directory.")
}

func (o *Options) addWebhookFlags(flags *flag.FlagSet) {
	flags.Var(onOff{&o.Webhooks.Enabled}, "webhooks", "Serve the admission webhooks: `on or off`. Off needs no certificates.")
	flags.IntVar(&o.Webhooks.Port, "webhook-port", o.Webhooks.Port, "`Port` of the admission webhooks.")
	flags.StringVar(&o.Webhooks.Dir, "webhook-cert-path", o.Webhooks.Dir,
		"`Directory` of a certificate that someone else renews; the manager makes its own without it.")
	flags.StringVar(&o.Webhooks.Cert, "webhook-cert-name", o.Webhooks.Cert, "Webhook certificate `file` in that directory.")
	flags.StringVar(&o.Webhooks.Key, "webhook-cert-key", o.Webhooks.Key, "Webhook key `file` in that directory.")
	flags.StringVar(&o.Webhooks.ClientCA, "webhook-client-ca", o.Webhooks.ClientCA,
		"`File` of the authorities whose client certificates the webhooks ask for; without it they believe whoever reaches them.")
}

// addEndpointsFlags gives the limits the names they have in
// kube-controller-manager.
func (o *Options) addEndpointsFlags(flags *flag.FlagSet) {
	flags.Var(parsed[controllers.EndpointsMode]{&o.Endpoints, controllers.ParseEndpointsMode}, "endpoints",
		"Endpoint controllers to run in place of kube-controller-manager's, which must be off: `off, selectorless or all`.")
	flags.IntVar(&o.EndpointsTuning.Workers, "concurrent-service-endpoint-syncs", o.EndpointsTuning.Workers, "`Number` of Services worked on at a time, 1 to 50.")
	flags.Func("max-endpoints-per-slice", "Largest `number` of endpoints in an EndpointSlice, 1 to 1000 (default 100).", func(text string) error {
		number, err := strconv.ParseInt(text, 10, 32)
		o.EndpointsTuning.MaxEndpointsPerSlice = int32(number)
		return err
	})
	flags.IntVar(&o.EndpointsTuning.MaxEndpointsPerSubset, "mirroring-max-endpoints-per-subset", o.EndpointsTuning.MaxEndpointsPerSubset,
		"Largest `number` of addresses mirrored from a subset of custom Endpoints, 1 to 1000.")
	flags.DurationVar(&o.EndpointsTuning.BatchPeriod, "endpointslice-updates-batch-period", o.EndpointsTuning.BatchPeriod,
		"`Time` for which pod changes are gathered into one write.")
}

func (o *Options) addLoadBalancerFlags(flags *flag.FlagSet) {
	flags.Var(onOff{&o.LoadBalancers.Enabled}, "loadbalancers",
		"Give Services of type LoadBalancer addresses of AddressPools for that use: `on or off`.")
	flags.StringVar(&o.LoadBalancers.Class.Name, "loadbalancer-class", o.LoadBalancers.Class.Name,
		"spec.loadBalancerClass of the Services that get them; those of other `class`es are left alone.")
	flags.BoolVar(&o.LoadBalancers.Class.Default, "loadbalancer-default", o.LoadBalancers.Class.Default,
		"Serve Services without a class as well: no other load balancer in the cluster may.")
}

func (o *Options) addAllocationFlags(flags *flag.FlagSet) {
	flags.Var(parsed[allocator.Mode]{&o.Allocation, allocator.ParseMode}, "allocation",
		"How much of a Service's ClusterIPs and NodePorts is decided here: `advisory, authoritative or off`.")
	flags.Func("service-node-port-range", "`Range` of NodePorts, as the API server has it (default "+o.NodePorts.String()+").", func(text string) error {
		span, err := allocator.ParsePortSpan(text)
		o.NodePorts = span
		return err
	})
	flags.IntVar(&o.RetainLimit, "retain-limit", o.RetainLimit, "`Number` of NodePorts and addresses that the annotation "+v1alpha1.RetainAnnotation+
		" keeps in a namespace for Services that are gone; 0: it has no effect. The label "+v1alpha1.RetainLimitLabel+" of a namespace overrides it.")
}

// parse reads the command line and the configuration file into the options.
func (o *Options) parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	o.given = map[string]bool{}
	flags.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	if err := o.loadConfig(); err != nil {
		return err
	}
	return o.Validate()
}

// Validate reports everything that is wrong, not only the first.
func (o *Options) Validate() error {
	errs := []error{
		validateAddress("--health-probe-bind-address", o.ProbeBindAddress),
		validateAddress("--metrics-bind-address", o.Metrics.BindAddress),
		o.validateProfiling(),
	}
	if o.Webhooks.Enabled && (o.Webhooks.Port < 1 || o.Webhooks.Port > 65535) {
		errs = append(errs, fmt.Errorf("--webhook-port %d is no port: use 1 to 65535", o.Webhooks.Port))
	}
	if served(o.ProbeBindAddress) && o.ProbeBindAddress == o.Metrics.BindAddress {
		errs = append(errs, fmt.Errorf("--health-probe-bind-address and --metrics-bind-address are both %s: give each its own port", o.ProbeBindAddress))
	}
	if problems := validation.IsDNS1123Subdomain(o.Admission.ClusterDomain); len(problems) > 0 {
		errs = append(errs, fmt.Errorf("--cluster-domain %q is no DNS domain: write it as cluster.local", o.Admission.ClusterDomain))
	}
	if problems := validation.IsQualifiedName(o.LoadBalancers.Class.Name); o.LoadBalancers.Enabled && len(problems) > 0 {
		errs = append(errs, fmt.Errorf("--loadbalancer-class: no Service can have the class %q: write it as example.com/name", o.LoadBalancers.Class.Name))
	}
	if o.RetainLimit < 0 {
		errs = append(errs, fmt.Errorf("--retain-limit %d is no limit: use 0 or more", o.RetainLimit))
	}
	if o.Namespace == "" {
		errs = append(errs, errors.New("--namespace is empty: name the one the manager runs in"))
	}
	if err := o.EndpointsTuning.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("endpoint controllers: %w", err))
	}
	if o.Webhooks.ClientCA != "" {
		if _, err := readAuthorities(o.Webhooks.ClientCA); err != nil {
			errs = append(errs, fmt.Errorf("--webhook-client-ca: %w", err))
		}
	}
	errs = append(errs, o.Webhooks.validate("--webhook-cert-path"), o.Metrics.validate("--metrics-cert-path"))
	return errors.Join(errs...)
}

// served tells whether an address is one to serve at.
func served(address string) bool { return address != "" && address != "0" }

func validateAddress(name, address string) error {
	if !served(address) {
		return nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("%s %q is no address to listen at (%w): use host:port, :port, or 0 for none", name, address, err)
	}
	return nil
}

func (f CertFiles) validate(name string) error {
	if f.Dir == "" {
		return nil
	}
	for _, file := range []string{f.Cert, f.Key} {
		if _, err := os.Stat(filepath.Join(f.Dir, file)); err != nil {
			return fmt.Errorf("%s: %w; mount the certificate there, or leave the flag out", name, err)
		}
	}
	return nil
}

// parsed is a flag whose values a package of its own knows.
type parsed[T ~string] struct {
	value *T
	parse func(string) (T, error)
}

func (f parsed[T]) String() string {
	if f.value == nil {
		return ""
	}
	return string(*f.value)
}

func (f parsed[T]) Set(text string) error {
	value, err := f.parse(text)
	if err == nil {
		*f.value = value
	}
	return err
}

// onOff is a flag that reads on and off.
type onOff struct{ value *bool }

func (f onOff) String() string {
	if f.value != nil && *f.value {
		return "on"
	}
	return "off"
}

func (f onOff) Set(text string) error {
	switch strings.ToLower(text) {
	case "on", "true":
		*f.value = true
	case "off", "false":
		*f.value = false
	default:
		return errors.New("use on or off")
	}
	return nil
}
