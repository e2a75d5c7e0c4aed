/** What looks like a key of one of the well-known services, whole or half hidden, as they like to repeat it. */
export const isKeyShaped = /\b(?:sk|pk|rk|gsk|xai|key|AIza|ghp|gho|glpat|xox[abprs]|AKIA)[-_]?[A-Za-z0-9][\w*.-]{15,}|\b(?:sk|gsk|key|AIza)[-_][\w*.-]{6,}|\bBearer\s+[\w.~+/=-]{8,}/g;
