-- name: company_insert
insert into core.company (id, code, name, created_at) values ($1, $2, $3, $4) returning company_id

-- name: legal_entity_insert
insert into core.legal_entity (company_id, id, name) values ($1, $2, $3)

-- name: operator_insert
insert into core.operator (company_id, id, login, name, password_hash) values ($1, $2, $3, $4, $5) returning num

-- name: operator_role_insert
-- A role over the whole company.
insert into core.operator_role (company_id, operator_num, role) values ($1, $2, $3)
