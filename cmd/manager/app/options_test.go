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
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/internal/command"
	"switchyard.dev/switchyard/webhooks"
)

func parseArgs(t *testing.T, args ...string) (Options, error) {
	t.Helper()
	var options Options
	options.Defaults()
	err := options.parse(options.flagSet(), args)
	return options, err
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const configHead = "apiVersion: config.switchyard.dev/v1alpha1\nkind: ManagerConfiguration\n"

func TestDefaultsAreValid(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	options, err := parseArgs(t)
	if err != nil {
		t.Fatal(err)
	}
	if options.Namespace != "switchyard-system" || !options.Webhooks.Enabled || options.Endpoints != controllers.EndpointsOff || options.EnableHTTP2 {
		t.Errorf("got %+v", options)
	}
}

func TestFlagsOverrideTheFileWhereverTheyStand(t *testing.T) {
	file := writeConfig(t, configHead+"rules:\n  X12: off\n  target-port-missing: deny\n  X1: warn\n")
	options, err := parseArgs(t, "--rule=X12=deny", "--config", file, "--rule", "X2=warn")
	if err != nil {
		t.Fatal(err)
	}
	want := webhooks.Severities{"X12": webhooks.Deny, "X11": webhooks.Deny, "X1": webhooks.Warn, "X2": webhooks.Warn}
	if diff := cmp.Diff(want, options.Rules); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheFileSetsWhatNoFlagDoes(t *testing.T) {
	file := writeConfig(t, configHead+"admissionAudit: true\nclusterDomain: example.org\n"+
		"loadBalancerClasses: [example.com/lb]\nrequirePools: [ExternalIP]\nendpointWriters: [kcm]\n")
	options, err := parseArgs(t, "--config", file)
	want := AdmissionOptions{Audit: true, ClusterDomain: "example.org",
		LoadBalancerClasses: []string{"example.com/lb"}, RequirePools: []v1alpha1.AddressUse{v1alpha1.UseExternalIP}, EndpointWriters: []string{"kcm"}}
	if diff := cmp.Diff(want, options.Admission); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	options, err = parseArgs(t, "--admission-audit=false", "--cluster-domain=cluster.local", "--config", file)
	if err != nil || options.Admission.Audit || options.Admission.ClusterDomain != "cluster.local" {
		t.Errorf("with flags: got %+v and %v", options.Admission, err)
	}
}

func TestWhatIsWrongWithTheCommandLineIsSaidWithItsRemedy(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"unknown flag":           {[]string{"--frobnicate"}, "-frobnicate\nSee `switchyard-manager --help`"},
		"word":                   {[]string{"up"}, `"up" is no flag`},
		"unknown rule":           {[]string{"--rule=X99=off"}, "the rules are X1 (external-ip-in-use)"},
		"endpoints":              {[]string{"--endpoints=some"}, "off, selectorless, all"},
		"endpoints' limits":      {[]string{"--concurrent-service-endpoint-syncs=99"}, "not between 1 and 50"},
		"webhooks":               {[]string{"--webhooks=maybe"}, "use on or off"},
		"port":                   {[]string{"--webhook-port=70000"}, "use 1 to 65535"},
		"address":                {[]string{"--metrics-bind-address=8443"}, "use host:port, :port, or 0 for none"},
		"domain":                 {[]string{"--cluster-domain=-"}, "write it as cluster.local"},
		"same port":              {[]string{"--metrics-bind-address=:1", "--health-probe-bind-address=:1"}, "give each its own port"},
		"certificates":           {[]string{"--webhook-cert-path=/does/not/exist"}, "mount the certificate there"},
		"no file":                {[]string{"--config=/does/not/exist"}, "no such file"},
		"file of another kind":   {[]string{"--config=" + writeConfig(t, "kind: Pod\n")}, "it must say kind: ManagerConfiguration"},
		"unknown field":          {[]string{"--config=" + writeConfig(t, configHead+"rule: {}\n")}, `unknown field "rule"`},
		"pool of another use":    {[]string{"--config=" + writeConfig(t, configHead+"requirePools: [ClusterIP]\n")}, "use ExternalIP or LoadBalancer"},
		"capital letters":        {[]string{"--config=" + writeConfig(t, configHead+"RequirePools: [ExternalIP]\n")}, "mind the capital letters"},
		"class that none can be": {[]string{"--config=" + writeConfig(t, configHead+"loadBalancerClasses: ['example.com/a b']\n")}, "write it as example.com/name"},
		"writers by a pattern":   {[]string{"--config=" + writeConfig(t, configHead+"endpointWriters: ['system:*']\n")}, "endpointWriters[0]"},
		"rule named twice":       {[]string{"--config=" + writeConfig(t, configHead+"rules: {X1: warn, external-ip-in-use: deny}\n")}, "X1 and external-ip-in-use are one rule"},
		"unknown rule in file":   {[]string{"--config=" + writeConfig(t, configHead+"rules: {X99: off}\n")}, "the rules are"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := Main(tc.args, &stdout, &stderr); code != command.Misuse {
				t.Errorf("exit code %d, want %d", code, command.Misuse)
			}
			if !strings.Contains(stderr.String(), tc.want) || strings.Contains(stderr.String(), "goroutine") {
				t.Errorf("got %q, want it to say %q", stderr.String(), tc.want)
			}
		})
	}
}

func TestEverythingThatIsWrongIsSaidAtOnce(t *testing.T) {
	_, err := parseArgs(t, "--webhook-port=0", "--metrics-bind-address=nowhere")
	for _, want := range []string{"--webhook-port", "--metrics-bind-address"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %s", err, want)
		}
	}
}

func TestHelpAndVersionAreNoErrors(t *testing.T) {
	for arg, want := range map[string]string{"--help": "-webhook-cert-path", "--version": "switchyard-manager"} {
		var stdout, stderr bytes.Buffer
		if code := Main([]string{arg}, &stdout, &stderr); code != command.OK || stderr.Len() > 0 || !strings.Contains(stdout.String(), want) {
			t.Errorf("%s: exit code %d, %q and %q", arg, code, stdout.String(), stderr.String())
		}
	}
}

func TestTheRetainLimitIsThatOfTheFlagThenOfTheFile(t *testing.T) {
	file := writeConfig(t, configHead+"retainLimit: 8\n")
	for _, tc := range []struct {
		args []string
		want int
	}{
		{nil, 64}, {[]string{"--config", file}, 8}, {[]string{"--config", file, "--retain-limit=0"}, 0}, {[]string{"--retain-limit", "9"}, 9},
	} {
		if options, err := parseArgs(t, tc.args...); err != nil || options.RetainLimit != tc.want {
			t.Errorf("%q: %d, want %d; %v", tc.args, options.RetainLimit, tc.want, err)
		}
	}
	for _, args := range [][]string{{"--retain-limit=-1"}, {"--config", writeConfig(t, configHead+"retainLimit: -1\n")}} {
		if _, err := parseArgs(t, args...); err == nil || !strings.Contains(err.Error(), "use 0 or more") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// Without webhooks nobody hands a number over.
func TestReservationsAreSetUpForTheWebhooksThereAre(t *testing.T) {
	for _, on := range []string{"on", "off"} {
		options, err := parseArgs(t, "--webhooks="+on, "--retain-limit=3")
		if err != nil {
			t.Fatal(err)
		}
		got := reservations(options, nil)
		dns := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-dns"}}
		own := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: options.Namespace, Name: "metrics"}}
		if got.NoWebhook != (on == "off") || *got.RetainLimit != 3 || !got.Exempt(dns) || !got.Exempt(own) || got.Namespace != options.Namespace {
			t.Errorf("webhooks %s: %+v", on, got)
		}
	}
}
