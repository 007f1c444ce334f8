package streams

import (
	"errors"
	"slices"
	"strings"
)

// A Service is a NATS micro service of ours: any number of processes answer for it, in one queue group.
type Service string

// A Method is one endpoint of a Service.
type Method string

// The services, and the version that $SRV.INFO shows. The first number changes when a request or
// an answer changes in a way that an older process does not understand.
const (
	ServiceDirectory Service = "directory"
	ServiceHistory   Service = "history"
	ServiceAdmin     Service = "admin"
	ServiceCursors   Service = "cursors"
	ServiceDead      Service = "deadletter"
	ServiceLedger    Service = "ledger"

	// These have no methods: a process registers them so that $SRV shows that it has the role.
	ServiceGateway Service = "gateway"
	ServicePersist Service = "persist"
	ServiceAPI     Service = "api"
	ServiceDeliver Service = "deliver"
	ServiceHub     Service = "hub"
	ServiceLeaf    Service = "leaf"

	DirectoryVersion = "1.1.0"
	HistoryVersion   = "1.0.0"
	AdminVersion     = "1.0.0"
	CursorsVersion   = "1.0.0"
	DeadVersion      = "1.0.0"
	LedgerVersion    = "1.0.0"
	RoleVersion      = "1.0.0" // of the services without methods
)

// The methods; each belongs to the service it is named after.
const (
	DirectorySession Method = "session" // what a user's session starts from: role, shard, epoch and tenures
	DirectoryKeys    Method = "keys"    // the public keys that verify tokens
	DirectoryTicket  Method = "ticket"  // who a one-time ticket of a socket stands for
	DirectoryImport  Method = "import"  // users, channels and messages in bulk, for canopy seed
	HistorySend      Method = "send"    // the seq that a client_msg_id got
	HistoryMessage   Method = "message" // one stored message

	CursorsRead      Method = "read"      // somebody has read a channel
	CursorsDelivered Method = "delivered" // up to where devices have got everything
	DeadRetry        Method = "retry"     // canopy dlq retry: one dead letter, tried again
	LedgerShow       Method = "show"      // canopy delivery show: what became of a message

	AdminUsers      Method = "users"      // canopy user ls
	AdminUser       Method = "user"       // canopy user …: one account, made or changed
	AdminWorkspaces Method = "workspaces" // canopy workspace ls
	AdminWorkspace  Method = "workspace"  // canopy workspace …: one workspace, made or changed
	AdminMember     Method = "member"     // canopy workspace …: somebody put into it or taken out of it
	AdminInvite     Method = "invite"     // canopy workspace …: an invitation
	AdminToken      Method = "token"      // canopy token …: a token for an account
	AdminKeys       Method = "keys"       // canopy token …: the signing keys
)

// ErrBadMethod says that a service has no such method.
var ErrBadMethod = errors.New("not a method of one of our services")

const rpcPrefix = "rpc."

// Services are all services, sorted.
func Services() []Service {
	return []Service{ServiceAdmin, ServiceAPI, ServiceCursors, ServiceDead, ServiceDeliver, ServiceDirectory, ServiceGateway, ServiceHistory, ServiceHub, ServiceLeaf, ServiceLedger, ServicePersist}
}

// descriptions are what `nats service ls` shows.
var descriptions = map[Service]string{
	ServiceAdmin:     "accounts, workspaces and tokens, for operators",
	ServiceAPI:       "REST, the directory and history",
	ServiceCursors:   "what people have read and devices have got",
	ServiceDead:      "dead letters, tried again",
	ServiceDeliver:   "offline recipients, dead letters and what waits for its time",
	ServiceLedger:    "what became of a message, for each recipient",
	ServiceDirectory: "who may what, for gateways",
	ServiceGateway:   "sockets of people",
	ServiceHistory:   "messages that the log no longer holds",
	ServiceHub:       "the NATS server that holds the streams",
	ServiceLeaf:      "the NATS server of a region's edge",
	ServicePersist:   "the log into the Messages store",
}

// Description says what a service is for, to operators; empty: there is no such service.
func (s Service) Description() string { return descriptions[s] }

// Methods are the methods of a service, sorted; none if it has none, or there is no such service.
func Methods(service Service) []Method {
	switch service {
	case ServiceDirectory:
		return []Method{DirectoryImport, DirectoryKeys, DirectorySession, DirectoryTicket}
	case ServiceHistory:
		return []Method{HistoryMessage, HistorySend}
	case ServiceCursors:
		return []Method{CursorsDelivered, CursorsRead}
	case ServiceDead:
		return []Method{DeadRetry}
	case ServiceLedger:
		return []Method{LedgerShow}
	case ServiceAdmin:
		return []Method{AdminInvite, AdminKeys, AdminMember, AdminToken, AdminUser, AdminUsers, AdminWorkspace, AdminWorkspaces}
	}
	return nil
}

// RPCSubject is where a method is asked, rpc.<service>.<method>. The error is ErrBadMethod.
func RPCSubject(service Service, method Method) (string, error) {
	if !slices.Contains(Methods(service), method) {
		return "", ErrBadMethod
	}
	return rpcPrefix + string(service) + "." + string(method), nil
}

// ParseRPC is the inverse of RPCSubject. The error is ErrBadSubject.
func ParseRPC(subject string) (Service, Method, error) {
	rest, ok := strings.CutPrefix(subject, rpcPrefix)
	service, method, _ := strings.Cut(rest, ".")
	if !ok || !slices.Contains(Methods(Service(service)), Method(method)) {
		return "", "", ErrBadSubject
	}
	return Service(service), Method(method), nil
}
