package fault

// OfStatus is the kind that a status of another's HTTP server means to us who asked it; empty for a success (2xx). What
// asks us to go elsewhere (3xx) is Invalid: we do not follow. 410 is NotFound, for good.
func OfStatus(status int) Kind {
	switch {
	case status >= 200 && status < 300:
		return ""
	case status == 410:
		return NotFound
	case status == Silent.Status(), status >= 500:
		return Unavailable
	}
	for _, k := range []Kind{Unauthenticated, Forbidden, NotFound, NotAllowed, Conflict, TooLarge, RateLimited} {
		if k.Status() == status {
			return k
		}
	}
	return Invalid
}
