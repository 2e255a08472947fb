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

package explain

import (
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// walk follows the packet through the rules and elements that a node would
// have.
func (e *explanation) walk() (Outcome, []string) {
	trace := e.tracer.Trace(ruleset.Packet{
		Source: e.Source, FromHost: e.FromNode, Interface: e.Interface,
		To: ruleset.Frontend{Protocol: e.Protocol, Addr: e.Destination},
	})
	outcome := Outcome{End: PassedOn}
	switch {
	case trace.Refused:
		outcome.End = Refused
	case trace.Dropped:
		outcome.End = Dropped
	case len(trace.Targets) > 0:
		outcome.End = ToEndpoints
	}
	for _, target := range trace.Targets {
		outcome.Targets = append(outcome.Targets, Target{target.Endpoint, target.Masqueraded})
	}
	return outcome, trace.Steps
}
