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

package diagnosis

import (
	"fmt"
	"strings"

	"switchyard.dev/switchyard/internal/discovery"
)

// name is what a DNS server has to answer for the Service, by its kind, where no
// server was asked. It is nothing to do with endpoints but for a headless Service,
// whose name is that of its ready ones; these have names of their own.
func (e *examination) name() Step {
	if e.Zone == "" {
		return Step{}
	}
	name := e.Name.Name + "." + e.Name.Namespace + e.servicesZone()
	var own, details []string
	for _, record := range discovery.Records(e.Service, e.Slices, discovery.Options{Zone: e.Zone}) {
		switch {
		case record.Type == discovery.PTR:
		case record.Name == name:
			own = append(own, strings.TrimSuffix(record.Data, "."))
		case record.Type == discovery.SRV:
			details = append(details, srvLine(record))
		case e.headless():
			details = append(details, record.Name+" is "+record.Data)
		}
	}
	step := Step{State: OK, Details: details, Message: fmt.Sprintf("its name %s is %s; no DNS server was asked for it", name, enumerate(own, maxNames))}
	switch _, unseen := e.unseen(EndpointSlices); {
	case len(own) > 0:
	case unseen && e.headless():
		step.Message = fmt.Sprintf("its name is %s, and that of its endpoints, which could not be seen", name)
	case e.headless():
		step.Message = fmt.Sprintf("its name is %s, and has no address while no endpoint is ready", name)
	default:
		step.Message = fmt.Sprintf("its name is %s; no DNS server was asked for it", name)
	}
	return step
}

// srvLine says which port a name of one is, without what the record weighs.
func srvLine(record discovery.Record) string {
	fields := strings.Fields(record.Data)
	if len(fields) != 4 {
		return record.Name
	}
	return fmt.Sprintf("%s is port %s of %s", record.Name, fields[2], strings.TrimSuffix(fields[3], "."))
}
