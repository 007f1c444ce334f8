// Package relational is what every SQL database has in common that keeps services/store's Directory: one text of SQL and one
// piece of Go for it, in the folders directory, signin and reach, and the small contract that a database fulfils, Database.
//
// The texts are written for SQLite and run on PostgreSQL as well (ops/adr). They keep to what both understand:
//
//	?  ?3                parameters
//	/*pg … */            a clause that only PostgreSQL needs, and that SQLite takes for the comment it is: row locks
//	INDEXED BY name      a hint that only SQLite needs
//	IN (SELECT value FROM json_each(?))   what is in a list of texts (ListOf), also with NOT
//	IN (SELECT CAST(value AS BIGINT) FROM json_each(?))   the same of numbers, without NOT
//	json_group_array(x)  a list of texts, as JSON; of no row it may be NULL
//	TRUE, NOT column     of what is true or false; never 0 or 1
//
// Many processes may change one database at once. A change locks first and looks then; Change says in which order.
//
// The package knows no driver and no table.
package relational
