package config

import (
	"net"
	"reflect"
	"strings"
)

// field is one setting of a Config.
type field struct {
	key   string        // its full name: edge.heartbeat
	is    string        // the check that its value must pass; may be empty
	value reflect.Value // settable when the Config was given by pointer
}

// fields are the settings of c in their order.
func fields(c *Config) []field { return fieldsOf("", reflect.ValueOf(c).Elem()) }

func fieldsOf(section string, v reflect.Value) []field {
	var all []field
	for i := range v.NumField() {
		tag, value := v.Type().Field(i).Tag, v.Field(i)
		if value.Kind() == reflect.Struct {
			all = append(all, fieldsOf(section+tag.Get("conf")+".", value)...)
			continue
		}
		all = append(all, field{key: section + tag.Get("conf"), is: tag.Get("is"), value: value})
	}
	return all
}

// env is the field's name in the environment: CANOPY_EDGE_HEARTBEAT.
func (f field) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.key, ".", "_"))
}

const envPrefix = "CANOPY_"

// reachable is where a client on this machine finds what listens at address.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address // the check of the field says what is wrong with it
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
