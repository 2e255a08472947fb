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
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/test/testenv"
)

// kubeProxy runs the kube-proxy that `make controlplane` builds.
func kubeProxy(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(testenv.Root(), "bin", "k8s", "kube-proxy"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("running kube-proxy, which `make controlplane` builds: %v\n%s", err, out)
	}
	return string(out)
}

var helpLine = regexp.MustCompile(`(?m)^ +(?:-., )?--([a-z-]+)`)

func TestEveryFlagOfKubeProxyIsThereWithItsDefault(t *testing.T) {
	help := kubeProxy(t, "--help")
	fs := newOptions(proxyconfig.KubeProxyConfiguration{}).flags()
	fs.Bool("help", false, "help for kube-proxy") // cobra adds it
	found := 0
	for _, match := range helpLine.FindAllStringSubmatch(help, -1) {
		found++
		if fs.Lookup(match[1]) == nil {
			t.Errorf("--%s is missing", match[1])
		}
	}
	if found < 80 {
		t.Fatalf("only %d flags found in kube-proxy's help", found)
	}
	defaults := regexp.MustCompile(`(?m)^ +(?:-., )?--([a-z-]+) .*\(default "?([^"\n]*?)"?\)$`)
	for _, match := range defaults.FindAllStringSubmatch(help, -1) {
		name, want := match[1], match[2]
		if got := fs.Lookup(name).DefValue; got != want {
			t.Errorf("--%s is %q by default, kube-proxy's %q", name, got, want)
		}
	}
}

func TestTheDefaultConfigurationIsKubeProxys(t *testing.T) {
	dir := t.TempDir()
	theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
	kubeProxy(t, "--proxy-mode=nftables", "--write-config-to="+theirs)
	var stderr bytes.Buffer
	if code := Main([]string{"--write-config-to=" + ours}, &stderr, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	read := func(path string) (config map[string]any) {
		text, err := os.ReadFile(path)
		if err == nil {
			err = yaml.UnmarshalStrict(text, &config)
		}
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	want, got := read(theirs), read(ours)
	want["nodePortAddresses"] = []any{"primary"} // which kube-proxy fills in later
	// The file has a period for each mode, of which kube-proxy fills in one.
	for _, mode := range []string{"iptables", "ipvs", "nftables"} {
		for _, config := range []map[string]any{want, got} {
			delete(config[mode].(map[string]any), "syncPeriod")
			delete(config[mode].(map[string]any), "minSyncPeriod")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-kube-proxy +ours):\n%s", diff)
	}
	// What is written is read again without a word.
	r, err := resolve([]string{"--config=" + ours})
	if err != nil || len(r.ignored) != 0 {
		t.Errorf("%v, ignored %v", err, r.ignored)
	}
}

func TestEverySettingHasOneMeaning(t *testing.T) {
	var flags, keysSeen []string
	for _, s := range settings {
		if s.flag != "" {
			flags = append(flags, s.flag)
		}
		if s.key != "" {
			keysSeen = append(keysSeen, s.key)
		}
	}
	var offered []string
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&OwnOptions{}).addFlags(own)
	newOptions(proxyconfig.KubeProxyConfiguration{}).flags().VisitAll(func(f *pflag.Flag) {
		if own.Lookup(f.Name) == nil && !strings.HasPrefix(f.Name, "zap-") {
			offered = append(offered, f.Name)
		}
	})
	expectSame(t, "flags", flags, append(offered, "help"))
	expectSame(t, "keys", keysSeen, slices.Collect(maps.Keys(keyValues(proxyconfig.KubeProxyConfiguration{}))))
}

func expectSame(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-there are +in settings):\n%s", what, diff)
	}
}

func TestKeysAreThoseOfAFile(t *testing.T) {
	var config proxyconfig.KubeProxyConfiguration
	setDefaults(&config)
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	values := keyValues(config)
	for path, value := range map[string]string{"conntrack.maxPerCore": "32768", "iptables.syncPeriod": "30s", "logging.format": "text", "nodePortAddresses": `["primary"]`} {
		if values[path] != value {
			t.Errorf("%s is %q, want %q", path, values[path], value)
		}
	}
	var paths []string
	flatten("", file, &paths)
	for _, path := range paths {
		if _, ok := values[path]; !ok && path != "apiVersion" && path != "kind" {
			t.Errorf("%s of a file is not among the keys", path)
		}
	}
}

func flatten(prefix string, value any, paths *[]string) {
	object, ok := value.(map[string]any)
	if !ok {
		*paths = append(*paths, prefix)
		return
	}
	for key, inner := range object {
		flatten(strings.TrimPrefix(prefix+"."+key, "."), inner, paths)
	}
}

func TestTheManualHasEveryFlagAndKey(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "node-agent.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[setting]bool{}
	flags := map[string]bool{}
	code := regexp.MustCompile("`(-*)([^`]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		word, _, _ := strings.Cut(strings.Trim(cells[3], " \n"), " ")
		key := strings.Trim(cells[2], " `")
		names := code.FindAllStringSubmatch(cells[1], -1)
		if len(names) == 0 && key != "" {
			documented[setting{"", key, meaning(strings.TrimRight(word, ":;"))}] = true
		}
		for _, name := range names {
			documented[setting{name[2], key, meaning(strings.TrimRight(word, ":;"))}] = true
			if name[1] == "--" {
				flags[name[2]] = true
			}
		}
	}
	for _, s := range settings {
		if !documented[s] {
			t.Errorf("no line for %+v", s)
		}
	}
	newOptions(proxyconfig.KubeProxyConfiguration{}).flags().VisitAll(func(f *pflag.Flag) {
		if !flags[f.Name] {
			t.Errorf("no line for --%s", f.Name)
		}
		delete(flags, f.Name)
	})
	delete(flags, "help")
	for name := range flags {
		t.Errorf("--%s has a line and does not exist", name)
	}
}
