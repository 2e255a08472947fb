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

package leftovers

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// beside is what the ipvs mode has left that is not nftables, and what is out of
// reach.
type beside struct {
	device bool
	// families are those that the device or a set is for.
	families map[model.Family]bool
	sets     []string
	// kept tells that chains stay, which may use sets.
	kept   bool
	legacy []string
}

func findOnHost(h host) (b beside, err error) {
	b.families = map[model.Family]bool{}
	addresses, there, err := h.addresses(ipvsDevice)
	errs := []error{err}
	b.device = there
	for _, a := range addresses {
		b.families[model.FamilyOf(a)] = true
	}
	names, err := h.sets()
	errs = append(errs, err)
	for _, name := range names {
		if isProxySet(name) {
			b.sets = append(b.sets, name)
			b.families[familyOfSet(name)] = true
		}
	}
	b.legacy, err = h.legacyTables()
	return b, errors.Join(append(errs, err)...)
}

// refused is an error unless our tables serve in each family that this was for. A
// device without addresses was for any.
func (b beside) refused(plans map[model.Family]plan) error {
	served := 0
	for _, family := range families {
		if plans[family].serves {
			served++
		} else if b.families[family] {
			return fmt.Errorf("%s: %w", family, ErrNotServed)
		}
	}
	if (b.device || len(b.sets) > 0) && served == 0 {
		return ErrNotServed
	}
	return nil
}

// remove removes what there is, and says what it did and what it could not.
func (b beside) remove(h host, wait func()) (done []string, err error) {
	var errs []error
	if b.device {
		err := h.removeDevice(ipvsDevice)
		errs = append(errs, err)
		if err == nil {
			done = append(done, "removed device "+ipvsDevice+" (virtual servers of IPVS stay until the node is started anew. Do so soon: when a Service"+
				" is gone, its NodePort at this node leads to what has the address of one of its pods by then)")
		}
	}
	count, used, err := removeSets(h, b.sets, wait)
	errs = append(errs, err)
	if count > 0 {
		done = append(done, fmt.Sprintf("removed %d ipsets", count))
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if b.kept {
			done = append(done, fmt.Sprintf("kept ipset %s: chains that are kept use it", name))
		} else {
			errs = append(errs, used[name])
		}
	}
	for _, family := range b.legacy {
		done = append(done, family+": left what iptables-legacy made alone: if that was kube-proxy, run `kube-proxy --cleanup` from its image")
	}
	return done, errors.Join(errs...)
}

func familyOfSet(name string) model.Family {
	if strings.HasPrefix(name, "KUBE-6-") {
		return model.IPv6
	}
	return model.IPv4
}

// setRounds is how often it is tried to remove sets that are in use, with a tenth
// of a second between.
const setRounds = 50

// removeSets removes sets. The kernel frees removed rules some time after it has
// removed them, and until then they hold their sets. used are those that are in
// use to the end, and what the kernel said.
func removeSets(h host, names []string, wait func()) (count int, used map[string]error, err error) {
	var errs []error
	used = map[string]error{}
	for round := 1; ; round++ {
		var held []string
		for _, name := range names {
			err := h.removeSet(name)
			switch {
			case err == nil:
				count++
			case inUse(err) && round < setRounds:
				held = append(held, name)
			case inUse(err):
				used[name] = err
			default:
				errs = append(errs, err)
			}
		}
		if len(held) == 0 {
			return count, used, errors.Join(errs...)
		}
		names = held
		wait()
	}
}
