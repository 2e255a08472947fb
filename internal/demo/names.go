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

package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"switchyard.dev/switchyard/internal/probe"
	"switchyard.dev/switchyard/internal/resolve"
)

var nameChecks = []Check{
	{"a short name, in its own namespace", shortName},
	{"name.namespace, from another namespace", nameOfAnotherNamespace},
	{"each pod of a StatefulSet by a name of its own", podNames},
	{"SRV of a named port leads to each pod", portName},
	{"ExternalName is a CNAME", aliasName},
	{"an address leads back to its name", reverseName},
	{"a name that is not there is denied at once", missingName},
}

var visitor = Place{Namespace: "demo-visitor", Pod: "visitor"}

// lookUp waits until a name is answered as it should be.
func (b *Bed) lookUp(ctx context.Context, from Place, name, kind string, right func(resolve.Answer) error) error {
	return b.eventually(ctx, func() error {
		cmd, err := b.Command(ctx, from, b.Switchyard, "resolve", "-o", "json", "--type", kind, name)
		if err != nil {
			return err
		}
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("looking up %s from %s: %w%s", name, from, err, stderrOf(err))
		}
		var answers []resolve.Answer
		if err := json.Unmarshal(out, &answers); err != nil || len(answers) == 0 {
			return fmt.Errorf("looking up %s from %s: %q, %w", name, from, out, err)
		}
		if err := right(answers[len(answers)-1]); err != nil { // those before are of other names
			return fmt.Errorf("%s %s, asked from %s: %w", kind, name, from, err)
		}
		return nil
	})
}

// data are the sorted values of an answer's records of one type.
func data(a resolve.Answer, kind string) []string {
	var values []string
	for _, r := range a.Records {
		if r.Type == kind {
			values = append(values, r.Data)
		}
	}
	slices.Sort(values)
	return values
}

// says is an answer of just these records of that type.
func says(kind string, want ...string) func(resolve.Answer) error {
	slices.Sort(want)
	return func(a resolve.Answer) error {
		if got := data(a, kind); !slices.Equal(got, want) {
			return fmt.Errorf("%s %s, %v: want %v", a.Name, a.Code, got, want)
		}
		return nil
	}
}

func shortName(ctx context.Context, b *Bed) (string, error) {
	front, err := b.readyPods(ctx, "front", 1)
	if err != nil {
		return "", err
	}
	return b.reached(ctx, Place{Pod: front[0]}, "back")
}

func nameOfAnotherNamespace(ctx context.Context, b *Bed) (string, error) {
	return b.reached(ctx, visitor, "back."+namespace)
}

// reached has a name of Service back answered with its ClusterIPs, and
// connections to the name by its pods.
func (b *Bed) reached(ctx context.Context, from Place, name string) (string, error) {
	backs, err := b.readyPods(ctx, "back", 2)
	if err != nil {
		return "", err
	}
	s, err := b.service(ctx, "back")
	if err != nil {
		return "", err
	}
	for kind, v6 := range map[string]bool{"A": false, "AAAA": true} {
		ip, err := clusterIP(s, v6)
		if err != nil {
			return "", err
		}
		if err := b.lookUp(ctx, from, name, kind, says(kind, ip)); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s is %s", name, strings.Join(s.Spec.ClusterIPs, " and ")), b.answers(ctx, from, at(name, 19), backs)
}

func podNames(ctx context.Context, b *Bed) (string, error) {
	pods, err := b.readyPods(ctx, "db", 2)
	if err != nil {
		return "", err
	}
	for _, name := range pods {
		pod, err := b.pod(ctx, name)
		if err != nil {
			return "", err
		}
		for _, ip := range pod.Status.PodIPs {
			kind := "A"
			if isIPv6(ip.IP) {
				kind = "AAAA"
			}
			if err := b.lookUp(ctx, visitor, name+".db."+namespace, kind, says(kind, ip.IP)); err != nil {
				return "", err
			}
		}
		if err := b.answers(ctx, visitor, at(name+".db."+namespace, 5432), []string{name}); err != nil {
			return "", err
		}
	}
	return strings.Join(pods, " and ") + " answered, each to its name", nil
}

// portName goes where SRV records lead.
func portName(ctx context.Context, b *Bed) (string, error) {
	pods, err := b.readyPods(ctx, "db", 2)
	if err != nil {
		return "", err
	}
	var led []string
	err = b.lookUp(ctx, Place{Pod: pods[0]}, "_sql._tcp.db", "SRV", func(a resolve.Answer) error {
		led = nil
		for _, srv := range data(a, "SRV") {
			var priority, weight, port int32
			var target string
			if _, err := fmt.Sscan(srv, &priority, &weight, &port, &target); err != nil {
				return fmt.Errorf("%q: %w", srv, err)
			}
			led = append(led, at(target, port))
		}
		if len(led) != len(pods) {
			return fmt.Errorf("%s leads to %v, want as many as there are pods", a.Name, led)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	for i, address := range led {
		if err := b.answers(ctx, visitor, address, pods[i:i+1]); err != nil {
			return "", err
		}
	}
	return strings.Join(led, " and "), nil
}

func aliasName(ctx context.Context, b *Bed) (string, error) {
	pods, err := b.readyPods(ctx, "db", 2)
	if err != nil {
		return "", err
	}
	target := "db." + namespace + ".svc.cluster.local."
	if err := b.lookUp(ctx, visitor, "storage."+namespace, "CNAME", says("CNAME", target)); err != nil {
		return "", err
	}
	// The name stands for what other names stand for, in one answer.
	answers, err := b.ask(ctx, visitor, probe.Request{Protocol: "http", Address: at("storage."+namespace, 5432), Count: 3})
	if err != nil {
		return "", err
	}
	for _, a := range answers {
		if !slices.Contains(pods, a.Text) {
			return "", fmt.Errorf("storage was answered by %q, want one of %v", a.Text, pods)
		}
	}
	err = b.lookUp(ctx, visitor, "elsewhere."+namespace, "CNAME", says("CNAME", "example.com."))
	return "storage is " + target + ", elsewhere is example.com.", err
}

func reverseName(ctx context.Context, b *Bed) (string, error) {
	s, err := b.service(ctx, "back")
	if err != nil {
		return "", err
	}
	name := "back." + namespace + ".svc.cluster.local."
	for _, ip := range s.Spec.ClusterIPs {
		if err := b.lookUp(ctx, visitor, ip, "PTR", says("PTR", name)); err != nil {
			return "", err
		}
	}
	return strings.Join(s.Spec.ClusterIPs, " and ") + " are " + name, nil
}

// missingName is denied, and one that exists without that type is not.
func missingName(ctx context.Context, b *Bed) (string, error) {
	is := func(code string) func(resolve.Answer) error {
		return func(a resolve.Answer) error {
			if a.Code != code {
				return fmt.Errorf("%s is %s: want %s", a.Name, a.Code, code)
			}
			return nil
		}
	}
	if err := b.lookUp(ctx, visitor, "no-such-name."+namespace+".svc.cluster.local.", "A", is("NXDOMAIN")); err != nil {
		return "", err
	}
	err := b.lookUp(ctx, visitor, "front."+namespace+".svc.cluster.local.", "AAAA", is(resolve.NoData))
	return "NXDOMAIN; and NODATA for IPv6 of front, which has IPv4 only", err
}
